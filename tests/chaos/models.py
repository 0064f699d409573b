"""A real registry with two small models, whose alias moves and which can be away."""

import shutil
from contextlib import suppress
from pathlib import Path

from sentiment.registry.publish import ALIAS, NAME, publish
from tests.integration.releases import small_model


class Models:
    """An MLflow store, a SQLite file, with versions 1 and 2 of a small model.

    Args:
        folder: Where it is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._database = folder / "mlflow.db"
        self._away = folder / "away.db"
        self.uri = f"sqlite:///{self._database}"
        self.champion = "1"
        for version in ("1", "2"):
            target = folder / f"model-{version}"
            shutil.copytree(small_model(folder), target)
            (target / "MODEL_CARD.md").write_text(f"# Version {version}\n")
            alias = ALIAS if version == self.champion else ""
            publish(target, self.uri, alias=alias)

    def swap(self) -> str:
        """Move the alias to the other version, which is returned."""
        from mlflow import MlflowClient

        self.champion = "2" if self.champion == "1" else "1"
        MlflowClient(self.uri).set_registered_model_alias(NAME, ALIAS, self.champion)
        return self.champion

    def take_away(self) -> None:
        """Let nobody read it."""
        shutil.move(self._database, self._away)
        # A folder in its place: SQLite can't open it, as it can't open a file on a lost disk.
        self._database.mkdir()

    def bring_back(self) -> None:
        """Undo `take_away`."""
        with suppress(FileNotFoundError):
            if self._away.exists():
                self._database.rmdir()
                shutil.move(self._away, self._database)
