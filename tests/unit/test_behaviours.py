"""Claims about the behaviour tests: what they hold, and that they see what they are made to see."""

from collections import defaultdict

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.judging.behaviours import FAILURES, about, cases, dropped, run, swapped
from trainer.reports import Behaviour

KINDS = {
    "negation",
    "negation_of_negative",
    "no_complaints",
    "distant_negation",
    "contrast",
    "intensifiers",
    "strong_words",
    "names",
    "punctuation",
    "typing_errors",
    "typing_errors_in_key_word",
    "neutral_filler",
    "emoji",
    "tweets",
}


class Knowing:
    """A scorer that was told all answers; its opposite, where `sign` is -1."""

    def __init__(self, sign: int = 1) -> None:
        self.calls = 0
        self.scores: dict[str, float] = defaultdict(lambda: 0.5)
        everything = [case for of_kind in cases().values() for case in of_kind]
        for case in everything:
            match case.claim:
                case "positive":
                    self.scores[case.texts[0]] = 0.5 + 0.4 * sign
                case "negative":
                    self.scores[case.texts[0]] = 0.5 - 0.4 * sign
                case "higher":
                    self.scores[case.texts[1]] = 0.5 + 0.2 * sign
                case "lower":
                    self.scores[case.texts[1]] = 0.5 - 0.2 * sign
        for case in everything:
            if case.claim == "same":
                self.scores[case.texts[1]] = self.scores[case.texts[0]]

    def __call__(self, texts: list[str]) -> NDArray[np.float64]:
        """The answers."""
        self.calls += 1
        return np.array([self.scores[text] for text in texts])


def seeing_words(texts: list[str]) -> NDArray[np.float64]:
    """Counts good and bad words, wherever they stand: the simplest bag of words."""
    good = ("good", "great", "wonderful", "amazing", "excellent", "love", "happy", "like")
    bad = ("bad", "awful", "terrible", "horrible", "hate", "worst", "disappoint", "boring")
    return np.array(
        [
            1 / (1 + np.exp(sum(word in text for word in bad) - sum(word in text for word in good)))
            for text in map(str.lower, texts)
        ]
    )


def test_each_kind_has_some_dozens_of_cases() -> None:
    """Enough that one case is no large share, and each kind says what is right."""
    made = cases()
    assert set(made) == KINDS == set(about())
    for name, of_kind in made.items():
        assert 50 <= len(of_kind) <= 300, name
        assert len(set(of_kind)) == len(of_kind), name


def test_cases_are_the_same_each_time() -> None:
    """No chance is in them."""
    assert cases() == cases()


def test_every_text_is_finished() -> None:
    """No slot, choice or doubled article is left, and a change changes something."""
    for of_kind in cases().values():
        for case in of_kind:
            for text in case.texts:
                assert text.strip()
                assert not set(text) & set("{}[]|"), text
                assert not any(wrong in f" {text}" for wrong in (" a a", " a e", " a i", " a o"))
            assert len(case.texts) == 1 or case.texts[0] != case.texts[1]


def test_no_sentence_is_claimed_to_be_both() -> None:
    """Within all kinds, a text has one right answer."""
    right: dict[str, set[str]] = defaultdict(set)
    for of_kind in cases().values():
        for case in of_kind:
            if case.claim in {"positive", "negative"}:
                right[case.texts[0]].add(case.claim)
    assert [text for text, claims in right.items() if len(claims) > 1] == []


@pytest.mark.parametrize(
    ("kind", "claim", "texts"),
    [
        ("negation", "negative", ("The phone is not good.",)),
        ("negation_of_negative", "positive", ("The phone is not bad.",)),
        ("contrast", "positive", ("I thought the phone was bad but it wasn't.",)),
        ("strong_words", "negative", ("terrible",)),
        ("strong_words", "positive", ("Loved it!",)),
        ("emoji", "negative", (":(",)),
        ("punctuation", "same", ("I love this phone.", "I LOVE THIS PHONE.")),
    ],
)
def test_holds_the_sentences_that_it_was_made_for(
    kind: str, claim: str, texts: tuple[str, ...]
) -> None:
    """Some that the project's aims name stand in the lists as they are."""
    assert (claim, texts) in cases()[kind]


def test_a_scorer_that_knows_passes_all() -> None:
    """With all the right answers every share is 1, and the scorer was called once."""
    knowing = Knowing()
    found = run(knowing)
    assert {name: behaviour.share for name, behaviour in found.items()} == dict.fromkeys(KINDS, 1)
    assert all(behaviour.failures == [] for behaviour in found.values())
    assert knowing.calls == 1


def test_a_scorer_that_is_always_wrong_fails_all_but_what_may_not_change() -> None:
    """The opposite of the right answers passes only where a decision must stay as it is."""
    found = run(Knowing(-1))
    unchanged = {name for name, of_kind in cases().items() if of_kind[0].claim == "same"}
    assert {name for name, behaviour in found.items() if behaviour.passed} == unchanged
    assert found["negation"].passed == 0


def test_a_bag_of_words_is_seen_through() -> None:
    """Counting words does well on words and fails where their order or a negator decides."""
    found = run(seeing_words)
    assert found["strong_words"].share > found["negation"].share
    assert found["negation"].share < 0.5
    assert found["contrast"].share < 0.7
    assert found["punctuation"].share == found["names"].share == 1


def test_a_change_that_turns_the_decision_is_a_failure() -> None:
    """A scorer that thinks better of some people is found out, whatever it thinks of them."""

    def likes_anna(texts: list[str]) -> NDArray[np.float64]:
        return np.array([0.9 if "Anna" in text else 0.1 for text in texts])

    found = run(likes_anna)
    assert 0 < found["names"].passed < found["names"].cases
    assert "Anna" in found["names"].failures[0]
    assert found["neutral_filler"].share == 1


def test_failures_are_told_with_scores() -> None:
    """A few are kept, each with its text, what was right and the score."""
    found = run(lambda texts: np.full(len(texts), 0.987))
    told = found["negation"].failures
    assert len(told) == FAILURES
    assert told[0] == "'The phone is not good.' is negative and got 0.99"
    assert found["negation"] == Behaviour(found["negation"].cases, 0, told)


@pytest.mark.parametrize(
    ("word", "with_swap", "with_drop"),
    [("terrible", "terrbile", "terrble"), ("film", "flim", "fim"), ("good", "good", "god")],
)
def test_typing_errors_change_one_place(word: str, with_swap: str, with_drop: str) -> None:
    """Two letters change places, or one is missing; first and last stay, so do equal letters."""
    assert swapped(word) == with_swap
    assert dropped(word) == with_drop
