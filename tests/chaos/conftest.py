"""A cluster that the chaos tests share: its start is most of what it costs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import world
from tests.chaos.cluster import Cluster
from tests.chaos.proxy import Proxy
from tests.chaos.world import Models

Ground = tuple[Cluster, Proxy, Models]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these last: three brokers would make every test after them slower."""
    for item in items:
        if "ground" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)
    items.sort(key=lambda item: HERE in item.path.parents)


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Three brokers behind a proxy, and a registry."""
    with world.running(tmp_path_factory.mktemp("chaos")) as all_of_it:
        yield all_of_it
