import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sentiment import wire
from sentiment.settings import Settings
from tests.integration.collector import Collector, Seen, collector
from tests.integration.commands import records, sentiment
from tests.integration.pages import PageProcess
from tests.integration.workers import WorkerProcess, read_results

StartWorker = Callable[..., WorkerProcess]
TRACE = "0af7651916cd43dd8448eb211c80319c"  # pragma: allowlist secret - a trace
CALLER = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Collector]:
    """A collector that all processes of the test export to."""
    del settings  # its fixture sets the environment
    with collector() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def site(traces: Collector, tmp_path: Path) -> Iterator[PageProcess]:
    """A page that exports its spans."""
    del traces  # its fixture sets the environment
    page = PageProcess(tmp_path / "web.log")
    page.wait_until()
    yield page
    page.end()


def named(seen: list[Seen], service: str, name: str) -> list[Seen]:
    """The spans of a process with a name."""
    return [one for one in seen if (one.service, one.span.name) == (service, name)]


def _single(seen: list[Seen]) -> list[Seen]:
    """Those that go on with another span."""
    return [one for one in seen if one.span.parent_span_id]


def chain(seen: list[Seen], last: Seen) -> list[str]:
    """The processes of a span and its ancestors, from the first one on."""
    parents = {one.span.span_id: one for one in seen}
    services = [last.service]
    while parent := parents.get(last.span.parent_span_id):
        assert parent.trace == last.trace
        last = parent
        services.insert(0, last.service)
    return services


def chosen(parent: str | bytes | None) -> bool:
    """Whether a `traceparent` says that its trace is sampled."""
    assert parent
    return bool(int(parent[-2:], 16) & 1)


def test_one_trace_from_the_sender_to_the_page(
    settings: Settings, traces: Collector, site: PageProcess, start_worker: StartWorker
) -> None:
    """A text of `sentiment produce` and one of a traced request each have one trace to the page."""
    worker = start_worker()
    assert sentiment("produce", "I loved it.").returncode == 0
    code, answer = site.ask("/api/events", {"text": "Bad."}, traceparent=CALLER)
    assert code == 202
    assert site.outcome(answer["events"][0]["id"])[0] == 200
    read, work = f"process {settings.topics.results}", f"process {settings.topics.events}"
    seen = traces.wait_for(
        lambda seen: (
            len(named(seen, "sentiment-web", read)) >= 2
            # Two events, in one batch or in two.
            and len(_single(named(seen, "sentiment-worker", work))) >= 2
        )
    )
    ends = named(seen, "sentiment-web", read)
    assert sorted(chain(seen, end) for end in ends) == [
        ["sentiment-produce", "sentiment-worker", "sentiment-web"],
        ["sentiment-web", "sentiment-worker", "sentiment-web"],
    ]
    assert TRACE in {end.trace for end in ends}
    [sent] = named(seen, "sentiment-web", f"send {settings.topics.events}")
    assert sent.span.parent_span_id.hex() == CALLER.split("-")[2]
    # The batch is a trace of its own, with a link to each of its events.
    worked = named(seen, "sentiment-worker", work)
    batches = {one.span.span_id: one for one in worked if not one.span.parent_span_id}
    linked = {link.span_id for batch in batches.values() for link in batch.span.links}
    single = _single(worked)
    assert linked == {one.span.parent_span_id for one in single}
    assert all(one.span.links[0].span_id in batches for one in single)
    assert sum(int(one.attribute("messaging.batch.message_count")) for one in batches.values()) == 2
    assert {one.attribute("messaging.system") for one in seen} == {"kafka"}
    assert "Traceback" not in worker.log


def test_only_what_its_sender_chose_is_traced(
    settings: Settings, traces: Collector, start_worker: StartWorker
) -> None:
    """Without the sampled flag there is no span, and the header travels on as it came."""
    start_worker()
    for text in ("one", "two"):
        done = sentiment("produce", text, OTEL_TRACES_SAMPLER="always_off")
        assert done.returncode == 0
    assert sentiment("produce", "three").returncode == 0
    read_results(settings, 3)
    seen = traces.wait_for(lambda seen: len(seen) >= 3)
    assert len({one.trace for one in seen}) == 2
    came, went = (
        [dict(wire.headers_of(record))["traceparent"] for record in records(settings, topic)]
        for topic in (settings.topics.events, settings.topics.results)
    )
    for parents in (came, went):
        assert sorted(map(chosen, parents)) == [False, False, True]
    # The third one's result names the worker's span.
    assert {parent for parent in came if parent in went} == {
        parent for parent in came if not chosen(parent)
    }


def test_dead_letter_keeps_its_headers_and_fails_its_span(
    settings: Settings, traces: Collector, start_worker: StartWorker
) -> None:
    """A traced event that is none: its bytes and headers stay, and its span tells the code."""
    start_worker()
    assert sentiment("produce", "--raw", "garbage").returncode == 0
    work = f"process {settings.topics.events}"
    seen = traces.wait_for(lambda seen: len(named(seen, "sentiment-worker", work)) >= 2)
    [failed] = [one for one in seen if one.span.status.code == 2]
    assert failed.attribute("error.type") == "not_json"
    [event] = records(settings, settings.topics.events)
    [letter] = records(settings, settings.topics.dead_letters)
    assert wire.headers_of(event)[0] == wire.headers_of(letter)[0]


def test_off_means_not_even_imported() -> None:
    """Without an endpoint, or with one and `OTEL_SDK_DISABLED`, no module makes spans."""
    code = (
        "import sys, producer, stream_worker.worker, web.app; from sentiment import tracing;"
        "assert tracing.of('worker') is None;"
        "print({'sentiment.spans', 'stream_worker.traces'} & sys.modules.keys())"
    )
    wanted = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}
    for more in ({}, wanted):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, **more},
            check=True,
        )
        assert done.stdout == "set()\n"
