"""Claims about `sentiment replay`, on a real Kafka with two versions in a real registry."""

import signal
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from mlflow import MlflowClient

from local.broker import LocalKafka
from local.settings import LocalSettings
from sentiment.kafka import clients, topics
from sentiment.settings import Settings
from tests import compiled
from tests.integration.commands import records, values
from tests.integration.conftest import StartWorker
from tests.integration.replays import Replays, committed, event
from tests.integration.workers import PATIENCE_S, read_results, send

# A thousand events would take it two minutes: whatever meets it in the middle, does so on any
# machine.
SLOW = ("--rate", "10")


def at(milliseconds: int) -> str:
    """A time as the command takes it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def test_the_range_is_right_to_the_record(replays: Replays) -> None:
    """From the first event of a millisecond on, up to the last before another: no more, no less."""
    first = int(time.time() * 1000) - 100_000
    producer = clients.new_producer(replays.settings.kafka)
    for number in range(400):
        ms, partition = divmod(number, 4)
        producer.produce(
            replays.settings.topics.events,
            event(ms),
            partition=partition,
            timestamp=first - 50 + ms,
        )
    assert producer.flush(PATIENCE_S) == 0
    figures = replays.finish("--from", at(first), "--to", at(first + 10))
    assert Counter(result.id for result in replays.results()) == {
        str(number): 4 for number in range(50, 60)
    }
    assert {result.model.version for result in replays.results()} == {"2"}
    assert figures["results"] == figures["events"] == 40
    # What was read beyond the end is not claimed.
    assert committed(replays.settings, f"sentiment-replay-{replays.topic}") == [60] * 4
    assert (figures["from"], figures["to"]) == (at(first), at(first + 10))


def test_the_live_group_and_its_topics_are_untouched(
    replays: Replays, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a worker runs: no rebalance, the same offsets, not one more record on its topics."""
    settings = replays.settings
    worker = start_worker(MLFLOW_TRACKING_URI=replays.uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", replays.uri)
    send(settings, [*map(event, range(400)), b"not an event", None])
    read_results(settings, 400)

    def live() -> list[object]:
        names = (settings.topics.results, settings.topics.dead_letters, settings.topics.tallies)
        return [
            *(values(settings, name) for name in names),
            committed(settings, settings.worker.group_id),
            worker.log.count("partitions moved"),
        ]

    before = live()
    figures = replays.finish("--compare")
    assert live() == before
    assert figures["results"] == 400
    assert (figures["dead_letters"], figures["tombstones"]) == ({"not_json": 1}, 1)
    compared = figures["comparison"]
    assert (compared["compared"], compared["agreement"]) == (400, 1.0)
    assert compared["live_models"] == {"1": 400}
    assert (compared["only_live"], compared["only_replay"]) == (0, 0)


def test_the_same_command_goes_on_where_it_was_ended(replays: Replays) -> None:
    """Each result exactly once and in order, with the first start's end, version and counts."""
    good, bad = 2000, 200
    send(replays.settings, [event(i) for i in range(good)] + [b"not an event"] * bad)
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        process = replays.start(*SLOW)
        process.send_signal(number)
        told, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == (-9 if number == signal.SIGKILL else 130)
        assert number == signal.SIGKILL or "Stopped" in told
        assert len(replays.results()) < good
        # What comes later, and what the alias names later, belong to another replay.
        send(replays.settings, [event(good)])
    client = MlflowClient(replays.uri)
    client.set_registered_model_alias("sentiment", "challenger", "1")
    try:
        figures = replays.finish()
    finally:
        client.set_registered_model_alias("sentiment", "challenger", "2")
    results = replays.results()
    assert Counter(result.id for result in results) == Counter(map(str, range(good)))
    for partition in range(replays.settings.topics.partitions):
        offsets = [r.input.offset for r in results if r.input.partition == partition]
        assert offsets == sorted(offsets)
    assert {result.model.version for result in results} == {"2"}
    assert (figures["results"], figures["dead_letters"]) == (good, {"not_json": bad})


def test_two_at_once_fence_each_other(replays: Replays) -> None:
    """The older one ends with code 3 and says why; together they give each result once."""
    send(replays.settings, [event(number) for number in range(1000)])
    first = replays.start(*SLOW)
    replays.finish()
    _, told = first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 3
    assert "Another replay into" in told
    assert "Traceback" not in told
    counts = Counter(result.id for result in replays.results())
    assert counts == Counter(map(str, range(1000)))


def test_another_replay_into_the_topic_is_refused(replays: Replays) -> None:
    """Another range or model, and one that is finished: until the topic is deleted."""
    send(replays.settings, [event(number) for number in range(20)])
    replays.finish()
    for other in (["--from", "1h"], ["--to", "1s"], ["--model", "sentiment/1"]):
        done = replays.run(*other)
        assert done.returncode == 2
        assert "holds another replay" in done.stderr
    done = replays.run()
    assert done.returncode == 2
    assert "is finished" in done.stderr
    assert len(replays.results()) == 20
    replays.delete()
    assert replays.finish("--from", "1h", "--model", "sentiment/1")["results"] == 20


def test_a_live_topic_is_refused(replays: Replays) -> None:
    """Nothing is ever written to a topic of the live system."""
    send(replays.settings, [event(1)])
    for field in ("events", "results", "dead_letters", "tallies", "redriven"):
        topic = getattr(replays.settings.topics, field)
        before = values(replays.settings, topic)
        done = replays.run("--output-topic", topic)
        assert done.returncode == 2, field
        assert "belongs to the live system" in done.stderr, field
        assert values(replays.settings, topic) == before, field


def test_a_topic_with_something_else_is_refused(replays: Replays) -> None:
    """At the first start, and when something came in between while it was stopped."""
    send(replays.settings, [event(number) for number in range(1000)])
    process = replays.start(*SLOW)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)
    foreign = records(replays.settings, replays.topic)[0]
    producer = clients.new_producer(replays.settings.kafka)
    # A result that is there already, once more.
    producer.produce(replays.topic, foreign.value(), partition=foreign.partition() or 0)
    assert producer.flush(PATIENCE_S) == 0
    count = len(replays.results())
    for group in ([], ["--group-id", f"{replays.topic}-other"]):
        done = replays.run(*group)
        assert done.returncode == 2
        assert "holds what is not of this replay" in done.stderr
    assert len(replays.results()) == count


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--from", "soon"], "--from 'soon' is no point in time"),
        (["--to", "beginning"], "--to is not after --from"),
        (["--from", "2000-01-01", "--to", "2000-01-02"], "has no event from"),
        (["--model", "sentiment"], "names no model"),
        (["--output-topic", "a/b"], "is no name of a topic"),
    ],
)
def test_wrong_use_is_a_sentence(replays: Replays, arguments: list[str], sentence: str) -> None:
    """Code 2, a sentence, no traceback, and nothing was made."""
    send(replays.settings, [event(1)])
    done = replays.run(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not replays.exists()


def test_the_live_group_and_foreign_offsets_are_refused(replays: Replays) -> None:
    """A replay keeps its place in no group that anything else uses."""
    settings = replays.settings
    send(settings, [event(1)])
    consumer = clients.new_consumer(settings.kafka, group_id=f"{replays.topic}-used")
    part = TopicPartition(settings.topics.events, 0, 1)
    consumer.commit(offsets=[part], asynchronous=False)
    consumer.close()
    done = replays.run("--group-id", settings.worker.group_id)
    assert (done.returncode, "live workers" in done.stderr) == (2, True)
    done = replays.run("--group-id", f"{replays.topic}-used")
    assert (done.returncode, "no replay's" in done.stderr) == (2, True)
    assert not replays.exists()


def test_events_that_were_deleted_meanwhile_are_told(replays: Replays) -> None:
    """Retention that overtakes a replay ends it: nothing is left out silently."""
    send(replays.settings, [event(number) for number in range(1000)])
    process = replays.start(*SLOW)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)
    admin = clients.new_admin(replays.settings.kafka)
    for partition in range(4):
        gone = TopicPartition(replays.settings.topics.events, partition, 249)
        admin.delete_records([gone])[gone].result(PATIENCE_S)
    done = replays.run()
    assert done.returncode == 1
    assert "are gone" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_brokers_restart_is_ridden_out(
    challenged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only broker is killed and comes back: the replay ends well, each result exactly once."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", challenged)
    monkeypatch.setenv("MODEL_CACHE_DIR", str(compiled.provide(tmp_path / "models")))
    folder = tmp_path / "kafka"
    with LocalKafka(folder, LocalSettings().cache_dir, print) as broker:
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
        settings = Settings()
        topics.create(settings)
        replays = Replays(settings, challenged)
        send(settings, [event(number) for number in range(1000)])
        # Still in the middle when the broker goes, and soon at its end afterwards.
        process = replays.start("--rate", "200")
        broker.kill(0)
        broker.start(0)
        told, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, errors
        assert "Replayed 1,000 events" in told
        counts = Counter(result.id for result in replays.results())
        assert counts == Counter(map(str, range(1000)))


def test_a_replay_without_a_registry_goes_on(replays: Replays, tmp_path: Path) -> None:
    """Once begun, the version's copy on disk is enough."""
    send(replays.settings, [event(number) for number in range(1000)])
    process = replays.start(*SLOW)
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    away = Path(replays.uri.removeprefix("sqlite:///"))
    kept = away.rename(tmp_path / "away.db")
    # SQLite can't open a folder.
    away.mkdir()
    try:
        assert replays.finish()["results"] == 1000
    finally:
        away.rmdir()
        kept.rename(away)
