"""NLTK's and VADER's rules of negation as the reference for `sentiment.model.text`."""

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given, strategies as st
from nltk.sentiment.util import NEGATION, NEGATION_RE, mark_negation
from nltk.sentiment.vader import VaderConstants
from vaderSentiment.vaderSentiment import NEGATE

from sentiment.model.text import NEGATED, NEGATORS, tokens

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

# Sentences of words that matter to the rules, and of any other.
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
