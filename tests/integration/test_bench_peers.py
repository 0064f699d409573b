"""Peers of the benchmark as `make bench` runs them: their environments, on a real Kafka."""

import json
from pathlib import Path

import pytest
from confluent_kafka import Message

from benchmarks import bench, candidates
from benchmarks.candidates import Peer
from benchmarks.peers import job
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


def test_an_environment_that_cant_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All peers of that environment are left out by name, with pip's own reason."""
    monkeypatch.setattr(candidates, "ROOT", tmp_path)
    monkeypatch.setattr(candidates, "ENVIRONMENTS", tmp_path / "peers")
    requirements = tmp_path / "requirements" / "peers" / "quix.txt"
    requirements.parent.mkdir(parents=True)
    requirements.write_text(f"./nothing-1.0-py3-none-any.whl --hash=sha256:{'0' * 64}\n")
    left_out: dict[str, str] = {}
    assert candidates.prepare(["quix"], left_out) == []
    assert set(left_out) == {p.name for p in candidates.PEERS if p.environment == "quix"}
    assert all("quix can't be made: ERROR" in why for why in left_out.values())
    assert not (tmp_path / "peers" / "quix" / candidates.STAMP).exists()


def test_both_ways_of_scoring_give_a_peer_the_same_results() -> None:
    """A batch of events becomes a result each, in order, alike by scikit-learn and compiled."""
    events = [
        json.dumps({"id": f"{number}", "text": text}).encode()
        for number, text in enumerate(["A wonderful film.", "A terrible waste of time."])
    ]
    by_sklearn, by_compiled = (
        [json.loads(result) for result in job.answer(events, score)]
        for score in (job.sklearn(), job.compiled())
    )
    assert [(one["id"], one["sentiment"]) for one in by_sklearn] == [
        ("0", "positive"),
        ("1", "negative"),
    ]
    for one, other in zip(by_sklearn, by_compiled, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-9)
