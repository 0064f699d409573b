"""From a text to its tokens: normalising, tokenising, negation.

Everything here is a fixed rule, so that a model's vocabulary means the same in training and in
service; a change to any rule needs a newly trained model. `sentiment.model.compiled` does the
same in one pass over UTF-8 bytes, and is tested against this module.
"""

import re

# In this order of precedence: HTML line breaks and people's @names, which are dropped; words,
# apostrophes inside them kept; runs of ! and ?, which carry feeling; other punctuation one by one,
# which separates phrases and makes emoticons; pictographs but for the modifiers of skin colour.
_TOKEN = re.compile(
    r"""<br\s*/?>|@?\w+(?:'\w+)*|[!?]+|[.,;:()"*]"""
    "|[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001f3fa\U0001f400-\U0001faff]"
)
_DROPPED = ("<", "@")

# Typographic apostrophes, and the accents that people type for one.
APOSTROPHES = "'’‘ʼ＇`´"  # noqa: RUF001 - they are what is replaced
_APOSTROPHES = str.maketrans(APOSTROPHES, "'" * len(APOSTROPHES))

# Penn-Treebank corpora split "doesn't" into "does n't", and "it's" into "it 's".
_SPLIT_CONTRACTION = re.compile(r"(?<=\w) (?=(?:n't|'(?:s|re|ve|ll|d|m))(?!\w))")

# English doubles letters and never writes three: "sooo" and "sooooo" are one word, "soo".
_ELONGATION = re.compile(r"([a-z])\1{2,}")

# The contracted forms of English; people also type them without the apostrophe.
_CONTRACTED = """ain't aren't can't couldn't daren't didn't doesn't don't hadn't hasn't haven't
    isn't mightn't mustn't needn't oughtn't shan't shouldn't wasn't weren't won't wouldn't"""
_PLAIN = """barely cannot hardly neither never no nobody none nor not nothing nowhere rarely
    scarcely seldom without"""
NEGATORS = frozenset(" ".join((_CONTRACTED, _CONTRACTED.replace("'", ""), _PLAIN)).split())

# No token starts with it, so a marked word is never mistaken for one that somebody wrote.
NEGATED = "~"

# Three words, as in VADER: "not a good film" and "not at all good" are reached.
SCOPE = 3


def normalise(text: str) -> str:
    """Lower-case, with plain apostrophes, contractions joined and elongations shortened."""
    text = text.lower()
    if not text.isascii() or "`" in text:
        text = text.translate(_APOSTROPHES)
    if " n't" in text or " '" in text:
        text = _SPLIT_CONTRACTION.sub("", text)
    return _ELONGATION.sub(r"\1\1", text)


def tokens(text: str) -> list[str]:
    """Split a text into tokens; the words that a negator reaches are marked with `NEGATED`.

    Args:
        text: Any text at all.

    Returns:
        Tokens in order; none is empty or holds a space. Of runs of ! and ?, what counts is
        whether there is one or more of them, and which.
    """
    text = normalise(text)
    found: list[str] = _TOKEN.findall(text)
    if "@" in text or "<" in text:
        found = [token for token in found if not token.startswith(_DROPPED)]
    if "!" in text or "?" in text:
        found = [_shout(token) if token[0] in "!?" else token for token in found]
    if not NEGATORS.isdisjoint(found):
        _mark_negated(found)
    return found


def _shout(token: str) -> str:
    if len(token) == 1:
        return token
    return ("?!" if "?" in token else "!!") if "!" in token else "??"


def _mark_negated(found: list[str]) -> None:
    """Mark up to `SCOPE` words after a negator; whatever is no word ends its reach."""
    left = 0
    for index, token in enumerate(found):
        if token in NEGATORS:
            left = SCOPE
        elif left:
            if token[0].isalnum() or token[0] == "_":
                found[index] = NEGATED + token
                left -= 1
            else:
                left = 0
