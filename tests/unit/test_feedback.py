"""People's labels: the last one counts, and the figures are those of their definitions."""

import math
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given, strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from sentiment import feedback as feedback_of
from sentiment.feedback import Accuracy, Labels
from sentiment.settings import Settings
from sentiment.wire import Feedback, Model, encode
from trainer import gates
from trainer.params import Promote

POSITIVE, NEGATIVE = "positive", "negative"
SENTIMENTS = st.sampled_from([POSITIVE, NEGATIVE])


def record(name: str, value: bytes | None) -> Message:
    """What is read of a record of the feedback topic."""
    made: Any = SimpleNamespace(
        key=name.encode, value=lambda: value, timestamp=lambda: (1, 0),
        partition=lambda: 0, offset=lambda: 0,
    )  # fmt: skip
    return made  # type: ignore[no-any-return]


def feedback(said: str | None, label: str, version: str = "1") -> Feedback:
    """A label on an answer."""
    return Feedback("e", label, Model("sentiment", version), said)  # type: ignore[arg-type]


def filled(given: Iterable[tuple[str, Feedback | None]], most: int = 100) -> Labels:
    """Labels after these, by event."""
    labels = Labels(most)
    for name, word in given:
        labels.add(name, word)
    return labels


@given(st.lists(st.tuples(SENTIMENTS, SENTIMENTS), min_size=1))
def test_figures_are_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    """Accuracy, precision, recall and F1 are what scikit-learn finds, or none where it has none."""
    found = filled(
        ((str(i), feedback(said, label)) for i, (said, label) in enumerate(pairs)), most=10_000
    ).accuracy()["1"]
    said, right = zip(*pairs, strict=True)
    assert found.labels == len(pairs)
    assert found.accuracy == pytest.approx(accuracy_score(right, said))
    for value, score in (
        (found.precision, precision_score),
        (found.recall, recall_score),
        (found.f1, f1_score),
    ):
        expected = score(right, said, pos_label=POSITIVE, zero_division=math.nan)
        assert (math.nan if value is None else value) == pytest.approx(expected, nan_ok=True)


def test_the_last_word_on_an_event_counts() -> None:
    """Somebody who clicks twice is counted once, and a record without a value takes it back."""
    labels = filled([("a", feedback(POSITIVE, NEGATIVE)), ("a", feedback(POSITIVE, POSITIVE))])
    assert labels.accuracy()["1"] == Accuracy(1, 1.0, 1.0, 1.0, 1.0)
    labels.take([record("a", None)])
    assert labels.accuracy() == {}
    assert labels.counts() == {}


def test_versions_are_apart() -> None:
    """Each model version has the labels on its own answers."""
    found = filled(
        [
            ("a", feedback(POSITIVE, POSITIVE, "1")),
            ("b", feedback(POSITIVE, NEGATIVE, "2")),
            ("c", feedback(NEGATIVE, NEGATIVE, "2")),
        ]
    ).accuracy()
    assert {version: figures.accuracy for version, figures in found.items()} == {"1": 1, "2": 0.5}


def test_memory_is_bounded() -> None:
    """Of more events than are kept, those that were labelled the longest ago go first."""
    words = [(str(i), feedback(POSITIVE, POSITIVE if i >= 3 else NEGATIVE)) for i in range(6)]
    # Labelled again, and so no longer the oldest.
    labels = filled([*words, ("0", feedback(POSITIVE, NEGATIVE))], most=3)
    assert labels.accuracy()["1"].labels == 3
    assert labels.counts()["1", POSITIVE, NEGATIVE] == 1


def test_versions_are_bounded() -> None:
    """Of many versions, those that were labelled last; one whose labels all went is gone."""
    words = [
        (f"{n}", feedback(POSITIVE, (POSITIVE, NEGATIVE)[n % 2], f"{n // 2}")) for n in range(8)
    ]
    labels = filled([*words, ("again", feedback(NEGATIVE, NEGATIVE, "0"))])
    assert {cell[0] for cell in labels.counts()} == {"0", "1", "2", "3"}
    assert {cell[0] for cell in labels.counts(2)} == {"0", "3"}
    assert sum(labels.counts(2).values()) == 5
    labels.add("6", None)
    labels.add("7", None)
    assert {cell[0] for cell in labels.counts(2)} == {"0", "2"}
    assert {cell[0] for cell in labels.counts()} == {"0", "1", "2"}


def test_what_is_no_feedback_is_passed_over() -> None:
    """Garbage, and a label that doesn't say on which answer, change no figure."""
    labels = Labels()
    labels.take(
        [
            record("a", b"no"),
            record("b", b'{"id":"b","label":"so-so"}'),
            record("c", encode(Feedback("c", NEGATIVE))),  # type: ignore[arg-type]
            record("d", encode(feedback(NEGATIVE, NEGATIVE))),
        ]
    )
    assert labels.accuracy()["1"].labels == 1


@pytest.mark.parametrize(
    ("found", "passed", "told"),
    [
        (None, False, "labelled 0 of its answers; 20 are asked"),
        (Accuracy(19, 1.0, 1.0, 1.0, 1.0), False, "labelled 19 of its answers"),
        (Accuracy(20, 0.75, 1.0, 1.0, 1.0), True, "0.7500 of 20 labels agree"),
        (Accuracy(20, 0.749, 1.0, 1.0, 1.0), False, "at least 0.75 is asked"),
    ],
)
def test_the_gate_asks_for_people_who_agree(
    found: Accuracy | None, told: str, *, passed: bool
) -> None:
    """Too few labels pass no gate, however good; enough of them do from the least share on."""
    check = gates.feedback(found, 0.75, Promote(min_feedback_labels=20))
    assert check.passed is passed
    assert told in check.reason


def test_read_feedback_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of the events that were labelled last are kept, and versions as many as are shown."""
    monkeypatch.setattr("sentiment.feedback.MOST_BYTES", 50_000)
    given = [
        (
            str(number % 100),
            Feedback("e", "positive", Model("m", f"{number}"), "positive", "x" * 400),
        )
        for number in range(1000)
    ]
    records = [record(name, encode(word)) for name, word in given]
    monkeypatch.setattr("sentiment.feedback._records", lambda _: iter(records))
    found = feedback_of.read(Settings())
    assert list(found) == [str(number) for number in range(51, 100)]
    assert found["99"][0].model == Model("m", "999")
    many = [record(str(n), encode(word)) for n, (_, word) in enumerate(given)]
    monkeypatch.setattr("sentiment.feedback._records", lambda _: iter(many))
    assert len(feedback_of.accuracy(Settings())) == feedback_of.MOST_VERSIONS
