"""Keeps the served model up to date, beside the running loop.

The loop reads `current` once per batch, so that each batch has one model and a swap happens
between two transactions. What fails its checks is refused, and the old model goes on.
"""

import threading

from sentiment import logs, metrics
from sentiment.errors import ModelError, ModelRefusedError
from sentiment.registry import LoadedModel, Registry
from sentiment.settings import ModelSettings

log = logs.get(__name__)

# A load that the registry answers slowly may hold the thread for one call; then it must end.
STOP_TIMEOUT_S = 1.0


class Champion:
    """The model that the alias points to, followed.

    Args:
        settings: Which model, and how often the registry is asked.
        registry: The registry to follow.

    Raises:
        ModelError: Neither the registry nor the cache has a usable model.
    """

    def __init__(self, settings: ModelSettings, registry: Registry) -> None:
        self._interval_s = settings.poll_interval_s
        self._registry = registry
        self._refused: set[str] = set()
        self._registry_is_down = False
        self._stop = threading.Event()
        cached = registry.cached()
        # A copy on disk serves at once; the thread's first look follows immediately.
        self._first_look_s = 0.0 if cached else self._interval_s
        self.current = cached or registry.load_champion()
        self._announce()
        self._thread = threading.Thread(target=self._follow, name="champion", daemon=True)

    def start(self) -> None:
        """Begin to follow the alias."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following. The thread is a daemon: a hanging registry can't hold us."""
        self._stop.set()
        self._thread.join(STOP_TIMEOUT_S)

    def _follow(self) -> None:
        wait_s = self._first_look_s
        while not self._stop.wait(wait_s):
            wait_s = self._interval_s
            self.look()

    def look(self) -> None:
        """Ask the registry once, and take over a model that is new and passes its checks."""
        try:
            version = self._registry.resolve()
            if version == self.current.version or version in self._refused:
                self._registry_is_down = False
                return
            self.current = self._registry.load(version)
        except ModelRefusedError as error:
            # Asked again only when the alias moves: a bad artifact doesn't mend itself.
            self._refused.add(version)
            metrics.MODEL_SWAPS.labels("refused").inc()
            log.error(  # noqa: TRY400 - a sentence for an operator; the traceback says no more
                "model refused", version=version, reason=error.message
            )
        except ModelError as error:
            metrics.REGISTRY_ERRORS.inc()
            if not self._registry_is_down:
                log.warning("registry does not answer", reason=error.message)
            self._registry_is_down = True
        else:
            self._registry_is_down = False
            metrics.MODEL_SWAPS.labels("swapped").inc()
            self._announce()

    def _announce(self) -> None:
        model: LoadedModel = self.current
        metrics.MODEL_INFO.clear()
        metrics.MODEL_INFO.labels(model.name, model.version, model.scorer.kind).set(1)
        metrics.MODEL_LOADED.set(model.loaded_at)
        log.info("model serves", model=model.name, version=model.version, scorer=model.scorer.kind)
