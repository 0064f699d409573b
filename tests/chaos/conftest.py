"""A cluster that the chaos tests share: its start is most of what it costs."""

from collections.abc import Iterator

import pytest

from tests.chaos import world
from tests.chaos.cluster import Cluster
from tests.chaos.models import Models
from tests.chaos.proxy import Proxy

Ground = tuple[Cluster, Proxy, Models]


@pytest.fixture(scope="package")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Three brokers behind a proxy, and a registry."""
    with world.running(tmp_path_factory.mktemp("chaos")) as all_of_it:
        yield all_of_it
