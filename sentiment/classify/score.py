"""Scores for the texts of a batch: by the champion, and a share of them by a challenger.

A challenger in the *canary* answers for a share of the keys, always the same ones; in the *shadow*
it scores a share of the other texts for comparison only.
"""

import random
import time
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from msgspec import Raw
from numpy.typing import NDArray

from sentiment import logs
from sentiment.classify.decode import Decoded, Explain, decoded
from sentiment.model.scorer import THRESHOLD, Fractions, Scorer, explain_some
from sentiment.registry.registry import LoadedModel
from sentiment.wire import EventError, Sentiment, TextEvent

log = logs.get(__name__)

# P(positive) of a text, or why there is none.
Score = float | EventError


class Models(NamedTuple):
    """The models of one batch."""

    champion: LoadedModel
    challenger: LoadedModel | None = None
    canary_share: float = 0.0  # of keys, which the challenger answers for
    shadow_share: float = 0.0  # of the other texts, which it scores for comparison


class Sample(NamedTuple):
    """What was seen of a few texts that one model with a reference answered."""

    model: LoadedModel
    scores: NDArray[np.float64]  # P(positive); shape (texts,)
    lengths: NDArray[np.int64]  # in tokens; shape (texts,)
    known: int | None  # how many of all tokens the model knows; None where it doesn't tell
    hashes: list[int]  # of the texts, to see which are the same


@dataclass
class Answers:
    """What the models said of a batch's texts."""

    models: Models
    scores: list[Score]
    # In JSON, by the text's number, where one is asked for and the model has one.
    explanations: dict[int, Raw] = field(default_factory=dict)
    # Numbers of the texts that the challenger answered for.
    canaries: set[int] = field(default_factory=set)
    # Of each text that both scored, the champion's score and the challenger's.
    shadows: list[tuple[float, float]] = field(default_factory=list)
    # How long each model took, and how many texts it scored, by its version.
    seconds: dict[str, float] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    def model_of(self, number: int) -> LoadedModel:
        """The model that answered for a text."""
        challenger = self.models.challenger
        return challenger if challenger and number in self.canaries else self.models.champion

    def compared(self) -> list[tuple[bool, float]]:
        """Of each text that both scored, whether they agree, and how far apart the scores are."""
        return [
            (decide(ours)[0] == decide(theirs)[0], abs(ours - theirs))
            for ours, theirs in self.shadows
        ]


def decide(score: float) -> tuple[Sentiment, float]:
    """The likelier sentiment by P(positive), and its probability; for every event, and so plain."""
    return ("positive", score) if score >= THRESHOLD else ("negative", 1 - score)


def answer(decoded: Decoded, models: Models) -> Answers:
    """Score a batch. Any thread may call it."""
    answers = Answers(models, [])
    texts, asking = decoded.texts, decoded.asking
    if models.challenger is None:
        answers.scores = _timed(answers, models.champion, texts, range(len(texts)), asking)
        return answers
    canaries, shadows = _chosen(decoded, models)
    tried = [*canaries, *shadows]
    # Who answers explains: of the shadow, only scores are wanted.
    explained = set(canaries).intersection(asking)
    theirs = _by_number(answers, models.challenger, texts, tried, explained)
    # What the challenger has no answer for, the champion answers: a trial costs no event.
    answers.canaries = {i for i in canaries if isinstance(theirs[i], float)}
    rest = [i for i in range(len(texts)) if i not in answers.canaries]
    ours = _by_number(answers, models.champion, texts, rest, asking)
    answers.scores = [theirs[i] if i in answers.canaries else ours[i] for i in range(len(texts))]
    for i in shadows:
        pair = ours[i], theirs[i]
        if isinstance(pair[0], float) and isinstance(pair[1], float):
            answers.shadows.append((pair[0], pair[1]))
    return answers


def _chosen(decoded: Decoded, models: Models) -> tuple[list[int], list[int]]:
    """Numbers of the texts for the canary, and for the shadow."""
    canaries: list[int] = []
    if models.canary_share:
        # The same key falls to the same model as long as the share stays, whichever worker has it.
        limit = models.canary_share * 2**32
        keys = decoded.keys()
        canaries = [i for i, key in enumerate(keys) if zlib.crc32(key) < limit]
    taken = set(canaries)
    shadows = [
        i
        for i in range(len(decoded.texts))
        if i not in taken and random.random() < models.shadow_share  # noqa: S311 - a sample
    ]
    return canaries, shadows


def _by_number(
    answers: Answers,
    model: LoadedModel,
    texts: Sequence[str],
    numbers: Sequence[int],
    asking: Collection[int],
) -> dict[int, Score]:
    """One model's scores of some of the texts, by their numbers."""
    some = [texts[number] for number in numbers]
    return dict(zip(numbers, _timed(answers, model, some, numbers, asking), strict=True))


def _timed(
    answers: Answers,
    model: LoadedModel,
    texts: Sequence[str],
    numbers: Sequence[int],
    asking: Collection[int],
) -> list[Score]:
    """One model's scores of texts with these numbers; the explanations go to the answers."""
    began = time.perf_counter()
    if asking:
        scores = _explained(answers, model.scorer, texts, numbers, asking)
    else:
        scores = _score(model.scorer, texts)
    answers.seconds[model.version] = time.perf_counter() - began
    answers.texts[model.version] = len(texts)
    return scores


def _explained(
    answers: Answers,
    scorer: Scorer,
    texts: Sequence[str],
    numbers: Sequence[int],
    asking: Collection[int],
) -> list[Score]:
    places = {place for place, number in enumerate(numbers) if number in asking}
    try:
        found = explain_some(scorer, texts, places)
    except Exception as error:  # noqa: BLE001 - whatever a model raises must not stop the stream
        log.warning("answers without explanations", reason=f"{type(error).__name__}: {error}")
        return _score(scorer, texts)
    scores = _numbers(found.scores)
    for place in places:
        explanation = found.explanations[place]
        if explanation is not None and isinstance(scores[place], float):
            answers.explanations[numbers[place]] = explanation
    return scores


def _score(scorer: Scorer, texts: Sequence[str]) -> list[Score]:
    """Score texts; where the model fails on one, that one alone is a dead letter."""
    if not texts:
        return []
    try:
        scores = scorer.score(texts)
    except Exception as error:  # noqa: BLE001 - whatever a model raises must not stop the stream
        if len(texts) == 1:
            return [EventError("model_failed", f"the model raised {type(error).__name__}")]
        middle = len(texts) // 2
        return _score(scorer, texts[:middle]) + _score(scorer, texts[middle:])
    return _numbers(scores)


def _numbers(scores: Fractions) -> list[Score]:
    answers: list[Score] = scores.tolist()
    for number in np.flatnonzero(~np.isfinite(scores)).tolist():
        answers[number] = EventError("model_failed", "the model gave no number")
    return answers


class Answered(NamedTuple):
    """What became of one content: its score, or why there is none, and its explanation in JSON."""

    score: Score
    explanation: Raw | None


def answered(
    contents: Sequence[TextEvent | EventError], explain: Explain, model: LoadedModel
) -> list[Answered]:
    """Score events that are no records, with one model; in their order."""
    answers = answer(decoded([*contents], explain), Models(model))
    scores = iter(enumerate(answers.scores))
    found = []
    for content in contents:
        if isinstance(content, EventError):
            found.append(Answered(content, None))
        else:
            number, score = next(scores)
            found.append(Answered(score, answers.explanations.get(number)))
    return found
