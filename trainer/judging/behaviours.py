"""Behaviour tests: sentences that test one ability of a model at a time.

In the manner of M. T. Ribeiro, T. Wu, C. Guestrin, S. Singh: Beyond Accuracy: Behavioral Testing of
NLP Models with CheckList, ACL 2020, with their three types of test: a decision that must be right,
one that a change must leave as it is, and a score that a change must move in one direction. The
sentences are made of templates and word lists in `behaviours.yaml`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import yaml
from msgspec import Struct
from numpy.typing import NDArray

from sentiment.model.scorer import THRESHOLD
from trainer.reports import Behaviour

# How far a score may move the wrong way before it counts: CheckList's own number.
TOLERANCE = 0.1
# Enough to see what goes wrong, few enough to be read.
FAILURES = 5

_SLOT = re.compile(r"\{(\w+)(?::(\w+))?\}")
_CHOICE = re.compile(r"\[([^|\]]*)\|([^|\]]*)\]")
# "a useful update", "an album", "an update": right for the words of the file.
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeio]|up)")

Claim = Literal["positive", "negative", "same", "higher", "lower"]


class Case(NamedTuple):
    """One or two texts, and what is claimed of their scores."""

    claim: Claim
    # One for `positive` and `negative`, else two: before and after a change.
    texts: tuple[str, ...]

    def passes(self, scores: NDArray[np.float64]) -> bool:
        """Whether the scores of the texts are as claimed."""
        decided = scores >= THRESHOLD
        match self.claim:
            case "positive" | "negative":
                return bool(decided[0] == (self.claim == "positive"))
            case "same":
                return bool(decided[0] == decided[1])
            case "higher":
                return bool(scores[1] >= scores[0] - TOLERANCE)
            case "lower":
                return bool(scores[1] <= scores[0] + TOLERANCE)


class _Kind(Struct, frozen=True, forbid_unknown_fields=True):
    """Templates by what is claimed of them."""

    about: str
    positive: list[str] = []
    negative: list[str] = []
    same: list[str] = []
    higher: list[str] = []
    lower: list[str] = []


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    words: dict[str, list[str]]
    kinds: dict[str, _Kind]


def cases() -> dict[str, list[Case]]:
    """All cases by kind; the same ones each time."""
    document = _read()
    claims: tuple[Claim, ...] = ("positive", "negative", "same", "higher", "lower")
    return {
        name: list(
            dict.fromkeys(
                Case(claim, texts)
                for claim in claims
                for number, template in enumerate(getattr(kind, claim))
                for texts in _fill(_sides(template, claim), document.words, number)
            )
        )
        for name, kind in document.kinds.items()
    }


def about() -> dict[str, str]:
    """Of each kind, what is right."""
    return {name: kind.about for name, kind in _read().kinds.items()}


def run(score: Callable[[list[str]], NDArray[np.float64]]) -> dict[str, Behaviour]:
    """Try a model: `score` gives P(positive) of each text, shape (texts,), and is called once."""
    made = cases()
    texts = [text for of_kind in made.values() for case in of_kind for text in case.texts]
    scores = iter(np.split(score(texts), len(texts)))
    found = {}
    for name, of_kind in made.items():
        failures = []
        for case in of_kind:
            given = np.concatenate([next(scores) for _ in case.texts])
            if not case.passes(given):
                failures.append(_told(case, given))
        # Spread over the list: adjacent ones come from one template.
        step = max(1, len(failures) // FAILURES)
        found[name] = Behaviour(
            len(of_kind), len(of_kind) - len(failures), failures[::step][:FAILURES]
        )
    return found


def swapped(word: str) -> str:
    """Two different letters in the middle change places; the word as it is where there are none."""
    middle = len(word) // 2
    places = sorted(range(1, len(word) - 2), key=lambda at: abs(at - middle))
    for at in places:
        if word[at] != word[at + 1]:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word


def dropped(word: str) -> str:
    """The letter in the middle is missing."""
    middle = len(word) // 2
    return word[:middle] + word[middle + 1 :]


def _read() -> _File:
    text = (files("trainer.judging") / "behaviours.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.safe_load(text), _File)


_CHANGES: Mapping[str | None, Callable[[str], str]] = {
    None: str,
    "capital": lambda word: word[:1].upper() + word[1:],
    "lower": str.lower,
    "upper": str.upper,
    "swapped": swapped,
    "dropped": dropped,
}


def _sides(template: str, claim: Claim) -> tuple[str, ...]:
    """The template before and after the change; itself where there is none."""
    if claim in {"positive", "negative"}:
        return (template,)
    return _CHOICE.sub(r"\1", template), _CHOICE.sub(r"\2", template)


def _fill(
    sides: tuple[str, ...], words: Mapping[str, Sequence[str]], number: int
) -> list[tuple[str, ...]]:
    """Fill a template so often that each word of its longest list is used."""
    slots = list(dict.fromkeys(name for side in sides for name, _ in _SLOT.findall(side)))
    filled = []
    for at in range(max((len(words[slot]) for slot in slots), default=1)):
        # Other templates begin elsewhere in the lists, so that other words come together.
        chosen = {
            slot: words[slot][(at + number * place) % len(words[slot])]
            for place, slot in enumerate(slots, start=1)
        }
        texts = tuple(_with_words(side, chosen) for side in sides)
        # Some words are too short for a typing error.
        if len(set(texts)) == len(sides):
            filled.append(texts)
    return filled


def _with_words(template: str, chosen: Mapping[str, str]) -> str:
    text = _SLOT.sub(lambda match: _CHANGES[match[2] or None](chosen[match[1]]), template)
    return _ARTICLE.sub(r"\1n ", text)


def _told(case: Case, scores: NDArray[np.float64]) -> str:
    if case.claim in {"positive", "negative"}:
        return f"{case.texts[0]!r} is {case.claim} and got {scores[0]:.2f}"
    before, after = (
        f"{text!r} got {score:.2f}" for text, score in zip(case.texts, scores, strict=True)
    )
    return f"{before}, {after}" + ("" if case.claim == "same" else f", not {case.claim} or equal")
