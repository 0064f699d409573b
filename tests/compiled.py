"""The bundled model, compiled once for the machine: every process would take seconds for it."""

from contextlib import suppress
from functools import cache
from pathlib import Path

from local.settings import LocalSettings
from sentiment.model.scorer import Scorer
from sentiment.registry.artifact import COMPILED, open_model
from sentiment.registry.publish import bundled_model

# Beside Kafka's jars. Read before any test changes the environment.
KEPT = LocalSettings().cache_dir / COMPILED


@cache
def bundled() -> Scorer:
    """The bundled model, opened once for all tests of a process."""
    return open_model(bundled_model(), KEPT)


def provide(cache_dir: Path) -> Path:
    """Put what is compiled where a process with this cache of models looks for it.

    Returns:
        The cache's folder, for the setting.
    """
    own = cache_dir / COMPILED
    own.mkdir(parents=True, exist_ok=True)
    for file in _compiled():
        with suppress(FileExistsError):
            (own / file.name).symlink_to(file)
    return cache_dir


def _compiled() -> list[Path]:
    bundled()
    # Also of other states of the code, which nobody loads.
    return list(KEPT.glob("*.npz"))
