"""Windows of each model that serves, and the metrics made of them."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Gauge

from sentiment.classify.score import Answers, Models, Sample
from sentiment.model.drift import LEAST_TEXTS, Reference, bins, sizes
from sentiment.model.scorer import THRESHOLD
from sentiment.registry.registry import LoadedModel
from stream_worker import metrics

# Added to each bin, in texts: an empty one would make the index infinite. Jeffreys' prior.
_EMPTY = 0.5


class Figures(NamedTuple):
    """How far a window is from the reference, or what of it can be seen by itself.

    Stability indices are 0 for the same; a share is None where the model doesn't tell.
    """

    score_psi: float
    length_psi: float
    positive_share: float
    unknown_token_share: float | None
    repeated_text_share: float


class Window:
    """Counts of a model's latest texts, beside its reference."""

    def __init__(self, reference: Reference, began: float = 0.0) -> None:
        self.began = began
        self.texts = 0
        self._reference = reference
        self._scores = np.zeros(len(reference.score_shares), np.int64)
        self._lengths = np.zeros(len(reference.length_shares), np.int64)
        self._positive = self._tokens = 0
        self._known: int | None = 0
        self._hashes: Counter[int] = Counter()

    def add(self, sample: Sample) -> None:
        """Take a sample in; at least one of a text with a score."""
        self.texts += len(sample.hashes)
        self._scores += bins(sample.scores, self._reference.score_edges)
        self._lengths += bins(sample.lengths, self._reference.length_edges)
        self._positive += int((sample.scores >= THRESHOLD).sum())
        self._tokens += int(sample.lengths.sum())
        if self._known is None or sample.known is None:
            self._known = None
        else:
            self._known += sample.known
        self._hashes.update(sample.hashes)

    def figures(self) -> Figures:
        """Compare with the reference; at least one text is there."""
        reference, unknown = self._reference, None
        if self._known is not None:
            # Nothing is unknown of no tokens.
            unknown = (self._tokens - self._known) / max(self._tokens, 1)
        return Figures(
            stability(reference.score_shares, reference.texts, self._scores),
            stability(reference.length_shares, reference.texts, self._lengths),
            self._positive / self.texts,
            unknown,
            self._hashes.most_common(1)[0][1] / self.texts,
        )


def stability(shares: list[float], texts: int, counts: NDArray[np.int64]) -> float:
    """The population stability index: the sum of (q - p) ln(q / p) over bins.

    The reference has shares p, counted of m `texts`; q are the shares of the `counts` in each bin,
    n of them in all and at least one. By chance alone it is about (bins - 1) (1 / n + 1 / m).
    """
    p = (np.array(shares) * texts + _EMPTY) / (texts + _EMPTY * len(shares))
    q = (counts + _EMPTY) / (counts.sum() + _EMPTY * len(shares))
    return float(((q - p) * np.log(q / p)).sum())


# Chance moves an index over ten bins by 9 / 1000, give or take 0.004: that is the noise of a
# dashboard's line. It takes seconds under load, and a quarter of an hour at a text a second.
MOST_TEXTS = 1000
# With little traffic a window is judged after half an hour, at ten texts a minute by LEAST_TEXTS;
# with less there are no figures. So a figure is never older than that.
LONGEST_S = 1800.0

_GAUGES: dict[str, Gauge] = {
    "score_psi": metrics.DRIFT_SCORE_PSI,
    "length_psi": metrics.DRIFT_LENGTH_PSI,
    "positive_share": metrics.DRIFT_POSITIVE_SHARE,
    "unknown_token_share": metrics.DRIFT_UNKNOWN_TOKEN_SHARE,
    "repeated_text_share": metrics.DRIFT_REPEATED_TEXT_SHARE,
}
_ALL = (
    *_GAUGES.values(),
    metrics.DRIFT_WINDOW_TEXTS,
    metrics.DRIFT_REFERENCE_POSITIVE_SHARE,
    metrics.DRIFT_REFERENCE_UNKNOWN_TOKEN_SHARE,
)


class Watch:
    """One window after the other for each model; the loop's thread alone calls it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[str, tuple[LoadedModel, Window]] = {}

    def add(self, samples: Iterable[Sample]) -> None:
        """Take in samples of what is committed."""
        for sample in samples:
            model = sample.model
            # The sampler takes models with a reference alone.
            assert model.reference is not None  # noqa: S101
            if model.version not in self._windows:
                self._windows[model.version] = model, Window(model.reference, self._clock())
            window = self._windows[model.version][1]
            window.add(sample)
            if window.texts >= MOST_TEXTS:
                self._close(model, window)

    def tick(self, models: Models) -> None:
        """Forget models that serve no more, and close windows that are too old."""
        served = {model.version for model in models[:2] if model}
        for model, window in list(self._windows.values()):
            if model.version not in served:
                self._forget(model)
                del self._windows[model.version]
            elif self._clock() - window.began >= LONGEST_S:
                self._close(model, window)

    def _close(self, model: LoadedModel, window: Window) -> None:
        """Show what a window was like, if there is enough of it, and begin the next one."""
        reference = model.reference
        assert reference is not None  # noqa: S101 - as above
        self._windows[model.version] = model, Window(reference, self._clock())
        if window.texts < LEAST_TEXTS:
            self._forget(model)
            return
        for name, value in window.figures()._asdict().items():
            if value is not None:
                _GAUGES[name].labels(model.version).set(value)
        metrics.DRIFT_WINDOW_TEXTS.labels(model.version).set(window.texts)
        metrics.DRIFT_REFERENCE_POSITIVE_SHARE.labels(model.version).set(reference.positive_share)
        if reference.known_token_share is not None:
            metrics.DRIFT_REFERENCE_UNKNOWN_TOKEN_SHARE.labels(model.version).set(
                1 - reference.known_token_share
            )

    def _forget(self, model: LoadedModel) -> None:
        for gauge in _ALL:
            gauge.remove(model.version)


# Picks a few texts of a batch and measures them, at a cost that is bounded whatever the texts.

# With fewer, the calls would cost more than the texts; so many long reviews take half a ms.
MOST = 50
# Of a core: not to be seen in a benchmark, and yet 700 short texts or 100 long ones a second.
BUDGET = 0.001
# A sample that took unusually long, as the first one does, must not blind us for minutes.
LONGEST_PAUSE_S = 5.0
# Loading the native code takes some 30 ms once: a worker's first results do not wait for it.
FIRST_S = 1.0


class Sampler:
    """Samples a batch now and then: after each sample, not again before it has been paid for.

    So a text's chance to be in one is the higher the fewer there are at the time, up to all of
    them. Called by one thread at a time; `spent` are seconds of processor time of that thread.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._clock = clock
        self._spent = spent
        self._next = clock() + FIRST_S

    def sample(self, texts: Sequence[str], answers: Answers) -> list[Sample]:
        """A sample for each model that answered some of a batch and has a reference; often none."""
        now = self._clock()
        if now < self._next or not texts:
            return []
        began = self._spent()
        chosen: dict[str, list[int]] = {}
        for number in random.sample(range(len(texts)), min(MOST, len(texts))):
            model = answers.model_of(number)
            if model.reference and isinstance(answers.scores[number], float):
                chosen.setdefault(model.version, []).append(number)
        samples = []
        for numbers in chosen.values():
            model, some = answers.model_of(numbers[0]), [texts[number] for number in numbers]
            lengths, known = sizes(model.scorer, some)
            scores = np.array([answers.scores[number] for number in numbers], np.float64)
            samples.append(Sample(model, scores, lengths, known, list(map(hash, some))))
        self._next = now + min((self._spent() - began) / BUDGET, LONGEST_PAUSE_S)
        return samples
