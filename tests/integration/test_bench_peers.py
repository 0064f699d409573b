"""A peer of the benchmark as `make bench` runs it: its locked environment, on a real Kafka."""

import json
from pathlib import Path

import pytest
from confluent_kafka import Message

from benchmarks import bench, candidates
from benchmarks.candidates import Peer
from sentiment.settings import Settings
from tests.integration.workers import read, send

# The one with the smallest wheels beside the model's own libraries.
LIGHTEST = "faust"
TEXTS = {"0": "A wonderful film.", "1": "A terrible waste of time."}


@pytest.fixture(scope="module")
def ready() -> list[candidates.Ready]:
    """Every way of the lightest peer, in the environment that the benchmark makes or has made."""
    left_out: dict[str, str] = {}
    ready = candidates.prepare([LIGHTEST], left_out)
    assert ready, f"This test needs a package registry: {left_out}"
    return ready


# A first installation may take minutes on a busy machine.
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "peer",
    [peer for peer in candidates.PEERS if peer.environment == LIGHTEST],
    ids=lambda peer: peer.how,
)
def test_a_peer_classifies(
    peer: Peer, ready: list[candidates.Ready], settings: Settings, tmp_path: Path
) -> None:
    """From what is locked alone, a peer starts, reads events and publishes the model's answers."""
    [candidate] = [one for one in ready if one.peer == peer]
    topics = settings.topics
    send(settings, [json.dumps({"id": i, "text": text}).encode() for i, text in TEXTS.items()])
    name = settings.worker.group_id
    command = candidate.command(
        settings.kafka.bootstrap_servers, topics.events, topics.results, name
    )
    log = tmp_path / "peer" / "log"
    with bench.running(command, log.parent) as process:

        def enough(records: list[Message]) -> bool:
            assert process.is_running(), log.read_text()
            assert process.status() != "zombie", log.read_text()
            return len(records) >= len(TEXTS)

        records = read(settings, topics.results, enough)
    results = [json.loads(record.value() or b"") for record in records]
    assert {result["id"]: result["sentiment"] for result in results} == {
        "0": "positive",
        "1": "negative",
    }
