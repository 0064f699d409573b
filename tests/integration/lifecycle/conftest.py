"""A registry of each test's own: a SQLite store."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests import stores
from tests.integration.lifecycle.steps import GOOD, TEST
from tests.integration.releases import release
from trainer.register import register


@pytest.fixture(autouse=True)
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A client of a store of the test's own, which the environment names."""
    uri = stores.provide(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return MlflowClient(uri)


@pytest.fixture
def registered(tmp_path: Path) -> Callable[..., str]:
    """Registers a release with these scores; gives its version."""
    number = 0

    def make(given: Any = GOOD, **changes: Any) -> str:  # noqa: ANN401 - of a report, whatever
        nonlocal number
        number += 1
        return register(release(tmp_path / f"release-{number}", TEST, given, **changes))

    return make
