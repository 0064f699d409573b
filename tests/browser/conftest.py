"""A real Chromium, a page process behind it, and a watch over the browser's console."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from sentiment.registry.artifact import COMPILED
from sentiment.settings import Settings
from tests.browser.tabs import PATIENCE_MS, watched
from tests.browser.traffic import ten_minutes
from tests.conftest import own_settings
from tests.integration.conftest import challenged, fetched, registry_uri, start_trends, start_worker
from tests.integration.pages import PageProcess, page
from tests.integration.trends_process import StartTrends
from tests.integration.workers import WorkerProcess, send
from tests.unit.operators import TOKEN
from tests.waiting import until

__all__ = ["challenged", "fetched", "registry_uri", "start_trends", "start_worker"]

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGUMENTS = [
    "--headless=new",
    # Chromium's sandbox needs privileges that containers and CI don't give; only our page runs.
    "--no-sandbox",
    "--disable-gpu",
    # Nothing but the page is asked for anything.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WIDE = ViewportSize(width=1280, height=860)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here, and skip it where there is no browser to drive."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium or Chrome is installed"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile with a wide window."""
    fresh = browser.new_context(viewport=WIDE, locale="en-GB")
    fresh.set_default_timeout(PATIENCE_MS)
    yield fresh
    fresh.close()


@pytest.fixture(scope="module")
def served(
    bootstrap_servers: str,
    registry_uri: str,
    fetched: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PageProcess]:
    """A page and a worker that has answered once, for all tests of a file that ask for them.

    They leave both as they are, and count nothing that another one of them may have sent.
    """
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as ends:
        kept = folder / "models"
        settings = ends.enter_context(own_settings(bootstrap_servers, patch, kept))
        ignored = shutil.ignore_patterns(COMPILED)
        shutil.copytree(fetched, kept, ignore=ignored, dirs_exist_ok=True)
        patch.setenv("MLFLOW_TRACKING_URI", registry_uri)
        worker = WorkerProcess(folder / "worker.log", dict(os.environ))
        ends.callback(worker.end)
        process = ends.enter_context(page(folder / "web.log"))
        # Tests beside them have an environment of their own.
        patch.undo()
        _answered(settings, process)
        yield process


@pytest.fixture
def site(
    request: pytest.FixtureRequest, bootstrap_servers: str, tmp_path: Path
) -> Iterator[PageProcess]:
    """The page that is shared, where a test asks for it; else one on the test's own topics.

    Its parameter is an environment of its own.
    """
    del bootstrap_servers  # both need it
    if "served" in request.fixturenames:
        yield request.getfixturevalue("served")
        return
    request.getfixturevalue("settings")  # its fixture sets the environment
    with page(tmp_path / "web.log", **getattr(request, "param", {})) as process:
        yield process


@pytest.fixture
def working(
    settings: Settings, site: PageProcess, start_worker: Callable[..., WorkerProcess]
) -> None:
    """A worker that has answered once; its start takes longer than a person would wait."""
    start_worker()
    _answered(settings, site)


def _answered(settings: Settings, site: PageProcess) -> None:
    send(settings, [b'{"id": "first", "text": "A quiet, honest film.", "source": "reviews"}'])
    until(lambda: site.ask("/api/results/first?wait=5")[0] == 200)


@pytest.fixture
def busy(
    settings: Settings,
    challenged: str,
    start_worker: Callable[..., WorkerProcess],
    start_trends: StartTrends,
    tmp_path: Path,
) -> Iterator[PageProcess]:
    """A page over a stream that has been busy for ten minutes, with a challenger on trial."""
    worker = start_worker(
        MLFLOW_TRACKING_URI=challenged, MODEL_CANARY_SHARE="0.1", MODEL_POLL_INTERVAL_S="0.2"
    )
    worker.wait_for_log("challenger")
    trends = start_trends()
    trends.wait_for(ten_minutes(settings))
    parts = {"WEB_TRENDS_URL": f"http://127.0.0.1:{trends.port}", "OPERATORS_TOKEN": TOKEN}
    with page(tmp_path / "web.log", **parts) as process:
        yield process


@pytest.fixture
def tab(context: BrowserContext, site: PageProcess) -> Iterator[Page]:
    """The open page; at the end nothing may have been written to the browser's console.

    A script or style that the policy forbids, an error of the page's own script and a request
    for what isn't there all end up in it.
    """
    complaints: list[str] = []
    opened = watched(context, complaints)
    opened.goto(site.url)
    yield opened
    assert complaints == []


@pytest.fixture
def refused_tab(context: BrowserContext, site: PageProcess) -> Page:
    """The open page of a test in which the server refuses or is away: the browser tells that."""
    opened = watched(context, [])
    opened.goto(site.url)
    return opened


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: the folder that `SCREENSHOTS` names, else a temporary one."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
