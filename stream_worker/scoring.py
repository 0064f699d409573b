"""Scores for the texts of a batch: by the champion, and a share of them by a challenger.

A challenger in the *canary* answers for a share of the keys, always the same ones; in the *shadow*
it scores a share of the other texts for comparison only.
"""

import random
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sentiment.event_errors import EventError
from sentiment.registry import LoadedModel, Scorer
from stream_worker.decoding import Decoded
from stream_worker.drift.window import Sample


class Models(NamedTuple):
    """The models of one batch.

    Attributes:
        champion: Answers.
        challenger: Is tried, where there is one.
        canary_share: Share of keys that the challenger answers for.
        shadow_share: Share of the other texts that it scores for comparison.
    """

    champion: LoadedModel
    challenger: LoadedModel | None = None
    canary_share: float = 0.0
    shadow_share: float = 0.0


@dataclass
class Answers:
    """What the models said of a batch's texts.

    Attributes:
        models: Which models.
        scores: P(positive) of each text, or why there is none.
        canaries: Numbers of the texts that the challenger answered for.
        shadows: Of each text that both scored, the champion's score and the challenger's.
        seconds: How long each model took, by its version.
        texts: How many texts each model scored, by its version.
        samples: What was seen of a few of the texts.
    """

    models: Models
    scores: list[float | EventError]
    canaries: set[int] = field(default_factory=set)
    shadows: list[tuple[float, float]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    def model_of(self, number: int) -> LoadedModel:
        """The model that answered for a text."""
        challenger = self.models.challenger
        return challenger if challenger and number in self.canaries else self.models.champion


def answer(decoded: Decoded, models: Models) -> Answers:
    """Score a batch. Any thread may call it."""
    answers = Answers(models, [])
    if models.challenger is None:
        answers.scores = _timed(answers, models.champion, decoded.texts)
        return answers
    canaries, shadows = _chosen(decoded, models)
    tried = [*canaries, *shadows]
    texts = decoded.texts
    theirs = dict(
        zip(tried, _timed(answers, models.challenger, [texts[i] for i in tried]), strict=True)
    )
    # What the challenger has no answer for, the champion answers: a trial costs no event.
    answers.canaries = {i for i in canaries if isinstance(theirs[i], float)}
    rest = [i for i in range(len(texts)) if i not in answers.canaries]
    ours = dict(zip(rest, _timed(answers, models.champion, [texts[i] for i in rest]), strict=True))
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


def _timed(answers: Answers, model: LoadedModel, texts: Sequence[str]) -> list[float | EventError]:
    began = time.perf_counter()
    scores = _score(model.scorer, texts)
    answers.seconds[model.version] = time.perf_counter() - began
    answers.texts[model.version] = len(texts)
    return scores


def _score(scorer: Scorer, texts: Sequence[str]) -> list[float | EventError]:
    """Score texts; where the model fails on one, that one alone is a dead letter."""
    if not texts:
        return []
    try:
        scores = scorer.score(texts)
        answers: list[float | EventError] = scores.tolist()
    except Exception as error:  # noqa: BLE001 - whatever a model raises must not stop the stream
        if len(texts) == 1:
            return [EventError("model_failed", f"the model raised {type(error).__name__}")]
        middle = len(texts) // 2
        return _score(scorer, texts[:middle]) + _score(scorer, texts[middle:])
    for number in np.flatnonzero(~np.isfinite(scores)).tolist():
        answers[number] = EventError("model_failed", "the model gave no number")
    return answers
