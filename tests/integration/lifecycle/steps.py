"""Steps of a model's life that tests take, in the registry that the environment names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result
from mlflow import MlflowClient

from sentiment.registry.registry import Registry
from sentiment.settings import ModelSettings
from tests.integration.releases import EVALUATE, GATES, scores, table
from trainer import promote as audit
from trainer.promote import Decision, promote

TEST = table()
GOOD, BETTER, WORSE = scores(TEST, film=0.9, tweets=0.8), scores(TEST), scores(TEST, film=0.6)


def judged(version: str = "challenger", **arguments: Any) -> Decision:  # noqa: ANN401 - of promote
    """Promote with the test's gates and table."""
    return promote(
        version=version, **{"params": GATES, "evaluate": EVALUATE, "test": TEST, **arguments}
    )


def champion() -> str:
    """The version that a worker is told."""
    return Registry(ModelSettings()).resolve()


def tags(client: MlflowClient, version: str) -> dict[str, str]:
    """A version's tags."""
    found: dict[str, str] = client.get_model_version("sentiment", version).tags
    return found


def run(command: Any, *arguments: str | Path) -> Result:  # noqa: ANN401 - click's decorators
    """Run a command in this process."""
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def files_of(client: MlflowClient, version: str, name: str) -> Path:
    """A file of a version, where the store keeps it."""
    source = client.get_model_version("sentiment", version).source
    assert source is not None
    return Path(source.removeprefix("file://")) / name


def chain(client: MlflowClient, registered: Callable[..., str], length: int) -> None:
    """Versions that became champion one after the other."""
    before = None
    for _ in range(length):
        version = registered()
        audit.move(client, "sentiment", before, version, "promote")
        before = version


def params_file(folder: Path, promote: dict[str, float], **more: object) -> Path:
    """A params.yaml with these gates, and whatever else it has to have."""
    file = folder / "params.yaml"
    document = {
        "ingest": {"sources": [{"name": "made", "uri": "made.csv"}]},
        "candidates": {"champion": {"kind": "a:B"}},
        "release": "champion",
        "promote": promote,
    }
    file.write_text(yaml.safe_dump({**document, **more}))
    return file
