"""Keeps the served models up to date, beside the running loop.

The loop reads `models` once per batch, so that each batch has its models and a swap happens
between two transactions. What fails its checks is refused, and the old model goes on.
"""

import threading
import time
from collections.abc import Callable
from typing import Literal

from sentiment import errors, logs
from sentiment.classify.score import Models
from sentiment.metrics import MODEL_SWAPS, forget, versions
from sentiment.registry.registry import LoadedModel, Registry
from sentiment.settings import ModelSettings
from stream_worker import metrics

log = logs.get(__name__)

# A load that the registry answers slowly may hold the thread for one call; then it must end.
STOP_TIMEOUT_S = 1.0
# How long the series of a version stay after its service: ten scrapes a minute apart, some of which
# may fail. Every rate and sum keeps what was read.
SERIES_KEPT_S = 600.0

EVENTS = {
    "unavailable": "registry does not answer",
    "denied": "registry refuses us",
    "store_unavailable": "artifact store does not answer",
    "model_missing": "model is not in the registry",
    "alias_missing": "alias is gone",
    "version_missing": "version is gone",
    "artifact_missing": "artifact is missing",
    "other": "following failed",
}


class ServedModels:
    """The champion, which answers, and the challenger on trial if there is one; both followed.

    A copy on disk serves at once; the registry's client, whose import takes longer than a model, is
    first used after an interval. A `ModelError`: there is no usable champion; a `ModelRefusedError`
    and a `RegistryUnavailableError` are worth another try.
    """

    def __init__(
        self,
        settings: ModelSettings,
        registry: Registry,
        challenger: Registry | None = None,
        *,
        explains: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._champion = _Followed("champion", registry)
        self._champion.serve(registry.cached() or registry.load_champion())
        self._challenger = _Followed("challenger", challenger) if challenger else None
        self._retired: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="served-models", daemon=True)
        if explains:
            self._warm_up()

    @property
    def models(self) -> Models:
        """The models to answer with now."""
        champion = self._champion.model
        # It was loaded before anybody could ask.
        assert champion is not None  # noqa: S101
        challenger = self._challenger.model if self._challenger else None
        if challenger and challenger.version == champion.version:
            challenger = None
        return Models(
            champion, challenger, self._settings.canary_share, self._settings.shadow_share
        )

    def start(self) -> None:
        """Begin to follow the aliases."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following. The thread is a daemon: a hanging registry can't hold us."""
        self._stop.set()
        self._thread.join(STOP_TIMEOUT_S)

    def _follow(self) -> None:
        while not self._stop.wait(self._settings.poll_interval_s):
            try:
                self.drop_series()
                self.check()
            except Exception:
                # Whatever it is, the models that serve go on, and so does the following.
                metrics.REGISTRY_ERRORS.labels(errors.ModelError.reason).inc()
                log.exception("asking for a new model failed")

    def _warm_up(self) -> None:
        """Have what explains compiled before an event asks: it takes long where it isn't on disk.

        Not on a thread of its own: a process that ends meanwhile would end with a crash.
        """
        scorer = self.models.champion.scorer
        try:
            scorer.explain(["An excellent film."])
        except Exception as error:  # noqa: BLE001 - then its answers have none, and say so
            log.warning("the model can't explain", reason=f"{type(error).__name__}: {error}")

    def check(self) -> None:
        """Ask the registry once, and take over what is new and passes its checks."""
        self._champion.check()
        if self._challenger:
            self._challenger.check()

    def drop_series(self) -> None:
        """Drop the metrics' series of versions that have long ceased to serve."""
        now, models = self._clock(), self.models
        served = {model.version for model in (models.champion, models.challenger) if model}
        # By what is there, and not by what was swapped: a batch may be counted long after.
        idle = versions() - served
        self._retired = {version: self._retired.get(version, now) for version in idle}
        for version, since in self._retired.items():
            if now - since >= SERIES_KEPT_S:
                forget(version)


class _Followed:
    def __init__(self, role: Literal["champion", "challenger"], registry: Registry) -> None:
        self.model: LoadedModel | None = None
        self._role = role
        self._registry = registry
        # The refusal of which was told; the registry gives the same one until it checks again.
        self._refusal: errors.ModelRefusedError | None = None
        # What is wrong with the registry, as it was told; empty: nothing.
        self._told = ""

    def check(self) -> None:
        if self.model and not self._registry.moves:
            return
        try:
            version = self._registry.resolve()
            if self.model is None or self.model.version != version:
                self.serve(self._registry.load(version))
                MODEL_SWAPS.labels("swapped").inc()
        except errors.ModelRefusedError as error:
            if not isinstance(error, errors.ArtifactMissingError):
                # The registry's part of us has told of it.
                self._in_order()
            elif error is not self._refusal:
                self._tell(error)
            self._refusal = error
        except errors.ModelNotFoundError as error:
            if self._role == "champion":
                self._tell(error)
            else:
                self._end_trial(error)
        except errors.SentimentError as error:
            self._tell(error)
        else:
            self._in_order()

    def _end_trial(self, error: errors.ModelNotFoundError) -> None:
        """A trial ends where its alias goes, or its version."""
        self._in_order()
        if self.model:
            metrics.MODEL_INFO.remove(*self._labels(self.model))
            self.model = None
            log.info("no challenger any more", reason=error.message)

    def _tell(self, error: errors.SentimentError) -> None:
        """Say what is wrong, once until it is something else; the model that serves goes on."""
        kind = error.reason if isinstance(error, errors.ModelError) else errors.ModelError.reason
        metrics.REGISTRY_ERRORS.labels(kind).inc()
        # What a registry that is away answers differs from call to call.
        away = isinstance(error, errors.RegistryUnavailableError)
        trouble = kind if away else error.message
        if trouble != self._told:
            log.warning(EVENTS[kind], role=self._role, reason=error.message, hint=error.hint)
        self._told = trouble

    def _in_order(self) -> None:
        if self._told:
            log.info("registry is in order again", role=self._role)
        self._told = ""

    def serve(self, model: LoadedModel) -> None:
        """Answer with a model from the next batch on."""
        if self.model:
            metrics.MODEL_INFO.remove(*self._labels(self.model))
        self.model = model
        metrics.MODEL_INFO.labels(*self._labels(model)).set(1)
        if self._role == "champion":
            metrics.MODEL_LOADED.set(model.loaded_at)
        name, version, kind, role = self._labels(model)
        log.info("model serves", role=role, model=name, version=version, scorer=kind)

    def _labels(self, model: LoadedModel) -> tuple[str, str, str, str]:
        return model.name, model.version, model.scorer.kind, self._role
