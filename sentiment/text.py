"""From a text to its tokens: normalising, tokenising, negation.

Everything here is a fixed rule, so that a model's vocabulary means the same in training and in
service; a change to any rule needs a newly trained model.
"""

import re

# Words, apostrophes inside them kept; runs of ! and ?, which carry feeling; other punctuation one
# by one, which separates phrases. On film reviews this beat words alone by half a point.
_TOKEN = re.compile(r"""\w+(?:'\w+)*|[!?]+|[.,;:()"*]""")
_PUNCTUATION = frozenset('!?.,;:()"*')

# Reviews come from web pages: a line break must not become the word "br".
_LINE_BREAK = re.compile(r"<br\s*/?>")

# Typographic apostrophes, and the accents that people type for one.
_APOSTROPHES = str.maketrans("’‘ʼ＇`´", "''''''")  # noqa: RUF001 - they are what is replaced

# Penn-Treebank corpora split "doesn't" into "does n't", and "it's" into "it 's".
_SPLIT_CONTRACTION = re.compile(r"(?<=\w) (?=(?:n't|'(?:s|re|ve|ll|d|m))(?!\w))")

# The contracted forms of English; people also type them without the apostrophe.
_CONTRACTED = """ain't aren't can't couldn't daren't didn't doesn't don't hadn't hasn't haven't
    isn't mightn't mustn't needn't oughtn't shan't shouldn't wasn't weren't won't wouldn't"""
_PLAIN = """barely cannot hardly neither never no nobody none nor not nothing nowhere rarely
    scarcely seldom without"""
NEGATORS = frozenset(" ".join((_CONTRACTED, _CONTRACTED.replace("'", ""), _PLAIN)).split())

# No token starts with it, so a marked word is never mistaken for one that somebody wrote.
NEGATED = "~"

# Two words: "not a good film" is reached, "not my kind of film" is hardly. A comma ends it.
_SCOPE = 2


def normalise(text: str) -> str:
    """Lower-case, with plain apostrophes, no HTML line breaks and contractions joined."""
    text = text.lower()
    if not text.isascii() or "`" in text:
        text = text.translate(_APOSTROPHES)
    if "<" in text:
        text = _LINE_BREAK.sub(" ", text)
    if " n't" in text or " '" in text:
        text = _SPLIT_CONTRACTION.sub("", text)
    return text


def tokens(text: str) -> list[str]:
    """Split a text into tokens; the two words after a negator are marked with `NEGATED`.

    Args:
        text: Any text at all.

    Returns:
        Tokens in order; none is empty or holds a space.
    """
    found: list[str] = _TOKEN.findall(normalise(text))
    if not NEGATORS.isdisjoint(found):
        _mark_negated(found)
    return found


def _mark_negated(found: list[str]) -> None:
    left = 0
    for index, token in enumerate(found):
        if token in NEGATORS:
            left = _SCOPE
        elif left:
            if token[0] in _PUNCTUATION:
                left = 0
            else:
                found[index] = NEGATED + token
                left -= 1
