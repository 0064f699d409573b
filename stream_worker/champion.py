"""Keeps the served models up to date, beside the running loop.

The loop reads `models` once per batch, so that each batch has its models and a swap happens
between two transactions. What fails its checks is refused, and the old model goes on.
"""

import threading
from typing import Literal

from sentiment import logs, metrics
from sentiment.errors import ModelError, ModelNotFoundError, ModelRefusedError
from sentiment.registry import LoadedModel, Registry
from sentiment.settings import ModelSettings
from stream_worker.scoring import Models

log = logs.get(__name__)

# A load that the registry answers slowly may hold the thread for one call; then it must end.
STOP_TIMEOUT_S = 1.0


class Champion:
    """The model that answers, and the challenger on trial if there is one; both followed.

    A copy on disk serves at once; the registry's client, whose import takes longer than a model,
    is first used after an interval.

    Args:
        settings: How often the registry is asked, and the challenger's shares.
        registry: The champion's.
        challenger: The challenger's; None: there is no trial.
        explains: Whether events may ask for explanations.

    Raises:
        ModelError: Neither the registry nor the cache has a usable champion.
    """

    def __init__(
        self,
        settings: ModelSettings,
        registry: Registry,
        challenger: Registry | None = None,
        *,
        explains: bool = False,
    ) -> None:
        self._settings = settings
        self._champion = _Followed("champion", registry)
        self._champion.serve(registry.cached() or registry.load_champion())
        self._challenger = _Followed("challenger", challenger) if challenger else None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="champion", daemon=True)
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
                self.look()
            except Exception:
                # Whatever it is, the models that serve go on, and so does the looking.
                metrics.REGISTRY_ERRORS.inc()
                log.exception("looking for a new model failed")

    def _warm_up(self) -> None:
        """Have what explains compiled before an event asks: it takes long where it isn't on disk.

        Not on a thread of its own: a process that ends while native code is made on another thread
        ends with a crash.
        """
        scorer = self.models.champion.scorer
        try:
            scorer.explain(["An excellent film."])
        except Exception as error:  # noqa: BLE001 - then its answers have none, and say so
            log.warning("the model can't explain", reason=f"{type(error).__name__}: {error}")

    def look(self) -> None:
        """Ask the registry once, and take over what is new and passes its checks."""
        self._champion.look()
        if self._challenger:
            self._challenger.look()


class _Followed:
    """What one alias points to."""

    def __init__(self, role: Literal["champion", "challenger"], registry: Registry) -> None:
        self.model: LoadedModel | None = None
        self._role = role
        self._registry = registry
        self._refused: set[str] = set()
        self._registry_is_down = False

    def look(self) -> None:
        if self.model and not self._registry.moves:
            return
        try:
            version = self._registry.resolve()
            if self._is_known(version):
                self._registry_is_down = False
                return
            self.serve(self._registry.load(version))
        except ModelRefusedError as error:
            # Asked again only when the alias moves: a bad artifact doesn't mend itself.
            self._refused.add(version)
            metrics.MODEL_SWAPS.labels("refused").inc()
            log.error(  # noqa: TRY400 - a sentence for an operator; the traceback says no more
                "model refused", role=self._role, version=version, reason=error.message
            )
        except ModelNotFoundError as error:
            self._missing(error)
        except ModelError as error:
            self._unanswered(error)
        else:
            self._registry_is_down = False
            metrics.MODEL_SWAPS.labels("swapped").inc()

    def _is_known(self, version: str) -> bool:
        return version in self._refused or (
            self.model is not None and self.model.version == version
        )

    def _missing(self, error: ModelNotFoundError) -> None:
        if self._role == "champion":
            self._unanswered(error)
        elif self.model:
            # The usual end of a trial.
            metrics.MODEL_INFO.remove(*self._labels(self.model))
            self.model = None
            log.info("no challenger any more")

    def _unanswered(self, error: ModelError) -> None:
        metrics.REGISTRY_ERRORS.inc()
        if not self._registry_is_down:
            log.warning("registry does not answer", role=self._role, reason=error.message)
        self._registry_is_down = True

    def serve(self, model: LoadedModel) -> None:
        """Answer with a model from the next batch on."""
        if self.model:
            metrics.MODEL_INFO.remove(*self._labels(self.model))
        self.model = model
        metrics.MODEL_INFO.labels(*self._labels(model)).set(1)
        if self._role == "champion":
            metrics.MODEL_LOADED.set(model.loaded_at)
        log.info(
            "model serves",
            role=self._role,
            model=model.name,
            version=model.version,
            scorer=model.scorer.kind,
        )

    def _labels(self, model: LoadedModel) -> tuple[str, str, str, str]:
        return model.name, model.version, model.scorer.kind, self._role
