"""Windows of each model that serves, and the metrics made of them."""

import time
from collections.abc import Callable, Iterable

from prometheus_client import Gauge

from sentiment import metrics
from sentiment.drift import LEAST_TEXTS
from sentiment.registry import LoadedModel
from stream_worker.drift.window import Sample, Window
from stream_worker.scoring import Models

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
    """One window after the other for each model; the loop's thread alone calls it.

    Args:
        clock: Seconds that rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[str, tuple[LoadedModel, Window]] = {}

    def add(self, samples: Iterable[Sample]) -> None:
        """Take in samples of what is committed."""
        for sample in samples:
            model = sample.model
            # The sampler looks at models with a reference alone.
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
