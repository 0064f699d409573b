"""A cluster that the chaos tests share: its start is most of what it costs."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos import world
from tests.chaos.cluster import Cluster
from tests.chaos.proxy import Proxy
from tests.chaos.world import Models

Ground = tuple[Cluster, Proxy, Models]
HERE = Path(__file__).parent
RUNNING = pytest.StashKey[tuple[Ground, ExitStack]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the brokers."""
    for item in items:
        if "ground" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)


@pytest.fixture
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Three brokers behind a proxy, and a registry, which run until the last test of this folder.

    They would make every test after them slower.
    """
    stash = request.config.stash
    if RUNNING not in stash:
        ends = ExitStack()
        made = ends.enter_context(world.running(tmp_path_factory.mktemp("chaos")))
        # Where a run is interrupted, no test is the last one.
        request.config.add_cleanup(ends.close)
        stash[RUNNING] = made, ends
    return stash[RUNNING][0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Stop them where no further test of this folder follows."""
    yield
    stash = item.config.stash
    if RUNNING in stash and (nextitem is None or HERE not in nextitem.path.parents):
        stash[RUNNING][1].close()
        del stash[RUNNING]
