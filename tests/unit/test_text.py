"""Claims about the rules of texts, and how those of negation differ from NLTK's and VADER's."""

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given, strategies as st
from nltk.sentiment.util import NEGATION, NEGATION_RE, mark_negation
from nltk.sentiment.vader import VaderConstants
from vaderSentiment.vaderSentiment import NEGATE

from sentiment.model.text import NEGATED, NEGATORS, SCOPE, normalise, tokens


@given(st.text())
def test_any_text_has_tokens_without_spaces(text: str) -> None:
    """Any text at all, lone surrogates too, gives the same non-empty tokens each time."""
    found = tokens(text)
    assert found == tokens(text)
    assert all(token and not any(map(str.isspace, token)) for token in found)


@given(st.text())
def test_normalising_again_changes_no_token(text: str) -> None:
    """Text that went through once already is tokenised as before."""
    assert tokens(normalise(text)) == tokens(text)


@given(st.text(alphabet="abn't !?.,\u2019`<br/>ANOT~", max_size=40))
def test_marks_only_words_after_a_negator(text: str) -> None:
    """A marked word has a negator at most `SCOPE` words before it, and nothing else between."""
    found = tokens(text)
    for index, token in enumerate(found):
        if token.startswith(NEGATED):
            before = found[max(0, index - SCOPE) : index]
            reach = next(i for i, other in enumerate(reversed(before)) if other in NEGATORS)
            assert all(other.startswith(NEGATED) for other in before[len(before) - reach :])
            assert token.removeprefix(NEGATED) not in NEGATORS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good", ["good"]),
        ("It's GREAT!!", ["it's", "great", "!!"]),
        ("It\u2019s great", ["it's", "great"]),
        ("a<br />b<BR>c", ["a", "b", "c"]),
        (
            'He said: "wow" (twice); 5/5*',
            [*["he", "said", ":", '"', "wow", '"', "(", "twice", ")", ";", "5", "5", "*"]],
        ),
        ("it is n't bad", ["it", "isn't", "~bad"]),
        ("it 's fine , they 'll see", ["it's", "fine", ",", "they'll", "see"]),
        ("not a very good film", ["not", "~a", "~very", "~good", "film"]),
        ("dont like it at all", ["dont", "~like", "~it", "~at", "all"]),
        ("no, it is good", ["no", ",", "it", "is", "good"]),
        ("not 👍 good", ["not", "👍", "good"]),
        ("not @me <br> good", ["not", "~good"]),
        ("never not good at it", ["never", "not", "~good", "~at", "~it"]),
        ("sooo cooool 1000", ["soo", "cool", "1000"]),
        ("What?!?! Wow! So!!! Eh??", ["what", "?!", "wow", "!", "so", "!!", "eh", "??"]),
        ("@you're good, a@b.c", ["good", ",", "a", ".", "c"]),
        ("fine :) bad :(", ["fine", ":", ")", "bad", ":", "("]),
        ("👍👍🏽 ☹", ["👍", "👍", "☹"]),
        ("", []),
        (" \0 ~ ", []),
    ],
)
def test_rules(text: str, expected: list[str]) -> None:
    """Each rule of normalising, tokenising and negation, on an example of its own."""
    assert tokens(text) == expected


# The words of NLTK's pattern, and the part `n't`, which it finds in any word.
NLTK = frozenset(re.findall("[a-z']+", NEGATION))
VADER = frozenset(NEGATE) | VaderConstants.NEGATE

# Negators of theirs that we don't have, and why.
NOT_OURS = {
    "n't": "we have each verb that it ends, and join it to one that is apart: 'does n't'",
    "noone": "a misspelling of 'no one', in one or two of 10,000 texts",
    "nope": "an answer: 'nope, good film' says nothing bad of the film",
    "uhuh": "an answer, like 'nope'",
    "uh-uh": "an answer, like 'nope', and two words",
    "despite": "concedes what follows and doesn't turn it: 'good despite the bad script'",
}

# Negators of ours that neither of them has, and why.
ONLY_OURS = {
    "barely": "like 'rarely' and 'seldom', which VADER has: 'barely watchable' is no praise",
    "hardly": "as 'barely'",
    "scarcely": "as 'barely'",
    "nobody": "as 'none' and 'nothing', which both have",
}

SENTENCES = (
    "I do not like this film at all . It was bad .",
    "It isn't good, but the music is great!",
    "Nobody here is happy; everyone left early.",
    "We couldn't have wished for a better evening",
    "never not good at it",
    "This is n't the worst of them (not even close) : it is fine",
    "No, no, no!!! Good grief?! I would n't go again...",
    "not bad at all and nothing to complain about",
    "Hardly a masterpiece, rarely a bore, without any doubt worth it",
    'He said "never" and then it was over * wonderful',
    "CANNOT recommend it enough 👍 wonderful service",
    "It\u2019s not sooooo great, I didn\u2019t enjoy it @friend really",
)  # fmt: skip

# Of words that matter to the rules, and of any other.
words = st.one_of(
    st.sampled_from(sorted(NEGATORS | NLTK | VADER)),
    st.sampled_from([*".,;:!?()\"*'", "!!", "?!", "...", "<br />", "👍", ":)", "but", "n't", "'s"]),
    st.text(max_size=6),
)
texts = st.lists(words, max_size=20).map(" ".join)


def on_texts(test: Callable[[str], None]) -> Callable[[str], None]:
    """Run a test on each of the sentences, and on made ones."""
    test = given(texts)(test)
    for sentence in SENTENCES:
        test = example(sentence)(test)
    return test


def unmarked(found: list[str]) -> list[str]:
    """The tokens as they were before ours were marked."""
    return [token.removeprefix(NEGATED) for token in found]


def in_scope_of_nltk(found: list[str]) -> list[bool]:
    """Which of our tokens NLTK marks, our negators counted as negators."""
    # NLTK lacks some that VADER has, and those of `ONLY_OURS`; where they stand it is to see one.
    seen = ["not" if token in NEGATORS and not NEGATION_RE.search(token) else token
            for token in unmarked(found)]  # fmt: skip
    return [marked != token for marked, token in zip(mark_negation(seen), seen, strict=True)]


@on_texts
def test_marks_no_word_that_nltk_would_not(text: str) -> None:
    """Each marked word lies in NLTK's scope, which reaches to the end of the clause."""
    found = tokens(text)
    for token, expected in zip(found, in_scope_of_nltk(found), strict=True):
        assert expected or not token.startswith(NEGATED), (token, found)


@on_texts
def test_marks_the_word_after_each_negator(text: str) -> None:
    """A word right after a negator of NLTK's or VADER's that is also ours is marked."""
    found = tokens(text)
    for negator, token in pairwise(found):
        if negator in NEGATORS & (NLTK | VADER) and re.match(r"\w", token):
            assert token in NEGATORS, found


@pytest.mark.parametrize("negator", sorted(NLTK | VADER))
def test_negators_of_nltk_and_vader_are_ours(negator: str) -> None:
    """Each one is known to us, unless it is left out for a reason that stands here."""
    assert (negator in NEGATORS) != (negator in NOT_OURS)


def test_own_negators_have_a_reason() -> None:
    """What we add to both lists is what stands here, no more and no less."""
    assert ONLY_OURS.keys() == NEGATORS - NLTK - VADER


def test_sentences_show_the_shorter_reach() -> None:
    """On the sentences above both mark something, and NLTK more than we do."""
    found = [token for text in SENTENCES for token in tokens(text)]
    ours = sum(token.startswith(NEGATED) for token in found)
    assert 0 < ours < sum(sum(in_scope_of_nltk(tokens(text))) for text in SENTENCES)
