import json
import math
import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.process import free_port
from observability.boards import files
from observability.panels import metrics_of
from sentiment import wire
from sentiment.kafka import clients
from sentiment.settings import Settings
from tests.integration.pages import PageProcess, page
from tests.integration.prometheus import PROGRAM, RULES, Prometheus, prometheus
from tests.integration.trends_process import TrendsProcess
from tests.integration.workers import WorkerProcess, send

# For all series to come: the challenger is loaded, and a rate has its samples, within twenty.
PATIENCE_S = 180.0
GOOD, BAD = b'{"text": "I loved every minute of it."}', b'{"text": "A dull waste of time."}'
# What Grafana puts in.
VARIABLES = {"$__rate_interval": "1m", "$job": ".*", "$instance": ".*", "$topic": ".*"}
# What there is only when something is wrong: answers that tell of a failure of ours, and batches
# that can't be read.
ABSENT = ('status=~"5.."', "sentiment_unreadable_partition")

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="prometheus is not installed: Debian's package of that name has it"
)


@pytest.fixture
def watched(
    settings: Settings,
    challenged: str,
    start_worker: Callable[..., WorkerProcess],
    start_trends: Callable[..., TrendsProcess],
    tmp_path: Path,
) -> Iterator[Prometheus]:
    """Every app with traffic of every kind, under a Prometheus."""
    port = free_port()
    start_worker(
        MLFLOW_TRACKING_URI=challenged,
        MODEL_SHADOW_SHARE="1",
        MODEL_POLL_INTERVAL_S="1",
        WORKER_HTTP_PORT=str(port),
    )
    trends = start_trends()
    stop = threading.Event()
    with page(tmp_path / "web.log") as site:
        ports = {"worker": port, "trends": trends.port, "web": site.port}
        with prometheus(tmp_path, ports) as server:
            traffic = threading.Thread(target=flow, args=(settings, site, stop))
            traffic.start()
            try:
                yield server
            finally:
                stop.set()
                traffic.join()


def flow(settings: Settings, site: PageProcess, stop: threading.Event) -> None:
    """Texts of both kinds, dead letters and tombstones; people's labels; requests of all kinds."""
    producer = clients.new_producer(settings.kafka)
    model = wire.Model("sentiment", "1")
    for answer in ("positive", "negative"):
        for label in ("positive", "negative"):
            word = wire.Feedback(f"{answer}-{label}", label, model, answer)
            producer.produce(settings.topics.feedback, wire.encode(word), word.id)
    producer.flush()
    while not stop.is_set():
        # As many as soon fill a window of drift.
        send(settings, [GOOD, BAD, b"garbage", b'{"text": ""}', None, *[GOOD, BAD] * 200])
        _, answer = site.ask("/api/events", [{"text": "Not bad at all."}, {"text": "Awful."}])
        site.ask(f"/api/results/{answer['events'][0]['id']}?wait=5")
        site.ask("/api/status")
        stop.wait(0.3)


def panels() -> list[str]:
    """Every query of every panel, as Grafana would ask it."""
    return [
        filled(target["expr"])
        for text in files().values()
        for panel in json.loads(text)["panels"]
        for target in panel.get("targets", [])
    ]


def marks() -> list[str]:
    """Every query for a line through all panels."""
    return [
        filled(mark["expr"])
        for text in files().values()
        for mark in json.loads(text)["annotations"]["list"]
    ]


def filled(query: str) -> str:
    """A query with Grafana's variables put in."""
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


def rules() -> list[dict[str, Any]]:
    """Every rule of every group."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def selectors(expression: str, recorded: Collection[str] = ()) -> set[str]:
    """What an expression reads: names of series, each with its matchers."""
    names = metrics_of(expression, recorded) - set(recorded)
    return {
        found
        for name in names
        for found in re.findall(rf"\b{name}\b(?:{{[^}}]*}})?", expression)
        if not any(part in found for part in ABSENT)
    }


def has_data(server: Prometheus, query: str) -> bool:
    """Whether an expression has a value that is a number."""
    return any(not math.isnan(float(series["value"][1])) for series in server.query(query))


def wait_for_all(server: Prometheus, queries: Iterable[str]) -> None:
    """Wait until each query has had data once."""
    left = set(queries)
    deadline = time.monotonic() + PATIENCE_S
    while left:
        left = {query for query in left if not has_data(server, query)}
        assert not left or time.monotonic() < deadline, (left, server.down())
        time.sleep(0.5)


def test_dashboards_and_rules_have_data(watched: Prometheus) -> None:
    """Under a real Prometheus with real traffic, every panel and every recorded series has data.

    So has each series that they, and alerts, read, with the matchers that they give it. All rules
    and marks are valid, and no critical alert is even pending where all is well.
    """
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    read = {
        selector
        for expression in [*panels(), *(rule["expr"] for rule in rules())]
        for selector in selectors(expression, recorded)
    }
    wait_for_all(watched, {*panels(), *recorded, *read})
    assert watched.down() == []
    assert watched.failing() == []
    for query in [*marks(), *(rule["expr"] for rule in rules())]:
        watched.query(query)
    # A start under load may be late, and for so short a while that is all there is.
    late = "SentimentLatencyBudget.*"
    assert watched.query(f'ALERTS{{severity="critical", alertname!~"{late}"}}') == []
