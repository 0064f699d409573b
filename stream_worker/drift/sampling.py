"""Picks a few texts of a batch and measures them, at a cost that is bounded whatever the texts."""

import random
import time
from collections.abc import Callable, Sequence

import numpy as np

from sentiment.drift import sizes
from sentiment.registry import LoadedModel
from stream_worker.drift.window import Sample
from stream_worker.scoring import Answers

# Most texts of one look: with fewer, the calls would cost more than the texts; a look at long
# reviews takes half a millisecond, which no batch notices.
MOST = 50
# Of a core: far below what one run of a benchmark differs from the next, and yet some 700 short
# texts or 100 long reviews a second.
BUDGET = 0.001
# A look that took unusually long, as the first one does, must not blind us for minutes.
LONGEST_PAUSE_S = 5.0
# Loading the native code takes some 30 ms once: a worker's first results do not wait for it.
FIRST_S = 1.0


class Sampler:
    """Looks at a batch now and then: after each look, not again before it has been paid for.

    So a text's chance to be looked at is the higher the fewer there are at the time, up to all of
    them. Called by one thread at a time.

    Args:
        clock: Seconds that rise.
        spent: Seconds of processor time that this thread has had.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._clock = clock
        self._spent = spent
        self._next = clock() + FIRST_S

    def look(self, texts: Sequence[str], answers: Answers) -> list[Sample]:
        """Measure a few texts, if it is time for it.

        Args:
            texts: Those of a batch.
            answers: What the models said of them.

        Returns:
            A sample for each model that answered some of them and has a reference; often none.
        """
        now = self._clock()
        if now < self._next or not texts:
            return []
        began = self._spent()
        chosen: dict[str, list[int]] = {}
        for number in random.sample(range(len(texts)), min(MOST, len(texts))):
            model = answers.model_of(number)
            if model.reference and isinstance(answers.scores[number], float):
                chosen.setdefault(model.version, []).append(number)
        samples = [
            _measured(answers.model_of(numbers[0]), [texts[i] for i in numbers], answers, numbers)
            for numbers in chosen.values()
        ]
        self._next = now + min((self._spent() - began) / BUDGET, LONGEST_PAUSE_S)
        return samples


def _measured(
    model: LoadedModel, texts: Sequence[str], answers: Answers, numbers: Sequence[int]
) -> Sample:
    lengths, known = sizes(model.scorer, texts)
    scores = np.array([answers.scores[number] for number in numbers], np.float64)
    return Sample(model, scores, lengths, known, [hash(text) for text in texts])
