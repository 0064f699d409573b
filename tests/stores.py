"""An empty MLflow store, made once for the machine: to make its tables takes seconds."""

import shutil
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

from local.settings import LocalSettings
from sentiment.registry.tracking import connect

# Beside Kafka's jars; another version may have other tables. Read before any test changes the
# environment.
KEPT = LocalSettings().cache_dir / f"mlflow-{version('mlflow')}.db"
# Far above what it takes.
PATIENCE_S = 300


def provide(folder: Path) -> str:
    """Put an empty store into a folder, if there is none yet.

    Returns:
        Its address.
    """
    file = folder / "mlflow.db"
    if not file.exists():
        shutil.copyfile(_empty(), file)
    return f"sqlite:///{file}"


@cache
def _empty() -> Path:
    if not KEPT.exists():
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT.parent) as folder:
            made = Path(folder) / "mlflow.db"
            with connect(PATIENCE_S, f"sqlite:///{made}") as client:
                client.search_experiments()
            # Whole or not at all: another process may make it too.
            made.replace(KEPT)
    return KEPT
