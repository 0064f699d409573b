"""On brokers with ACLs: what each part needs is enough, and what is missing is named."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sentiment import apps, wire
from sentiment.apps import Right
from sentiment.errors import TopicError
from sentiment.kafka import clients, topics
from sentiment.settings import Settings
from sentiment.wire import Feedback, Model, Tally, TallyCount, TextEvent, encode
from tests.integration.commands import PATIENCE_S, sentiment, values
from tests.integration.conftest import StartWorker
from tests.integration.pages import page
from tests.integration.secure_kafka import SECRET, SecureKafka
from tests.integration.trends_process import StartTrends
from tests.integration.workers import read, read_dead_letters, read_results, send
from web.outbox import Outbox

pytestmark = pytest.mark.kafka

Grant = Callable[[str, list[Right]], None]
WORKER = apps.rights("worker")
WRONG = "hunter2-hunter2"


@pytest.fixture(scope="module")
def bootstrap_servers(secure_broker: SecureKafka) -> str:
    """What these tests themselves do goes past all doors."""
    return secure_broker.bootstrap_servers


@pytest.fixture
def grant(secure_broker: SecureKafka, settings: Settings) -> Iterator[Grant]:
    """Gives a user rights on what belongs to the test, until its end."""
    users = set()

    def give(user: str, wanted: list[Right]) -> None:
        users.add(user)
        secure_broker.grant(user, wanted, settings)

    yield give
    for user in users:
        secure_broker.withdraw(user)


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_worker_needs_no_more_than_its_rights(
    protocol: str,
    secure_broker: SecureKafka,
    grant: Grant,
    settings: Settings,
    start_worker: StartWorker,
) -> None:
    """With the rights of the table a worker classifies over TLS, and logs no secret of its own."""
    grant("worker", WORKER)
    worker = start_worker(
        **secure_broker.environment("SCRAM-SHA-512", "worker"),
        WORKER_GROUP_PROTOCOL=protocol,
        LOG_LEVEL="DEBUG",
    )
    send(settings, [b'{"text":"a good film"}'] * 20 + [b"no event"])
    assert len(read_results(settings, 20)) == 20
    assert len(read_dead_letters(settings, 1)) == 1
    assert "authorization" not in worker.log
    assert SECRET not in worker.log


@pytest.mark.parametrize("right", WORKER, ids=lambda right: f"{right.operation}-{right.setting}")
def test_a_worker_names_the_right_that_it_lacks(
    right: Right,
    secure_broker: SecureKafka,
    grant: Grant,
    settings: Settings,
    start_worker: StartWorker,
) -> None:
    """Without one of its rights a worker ends with a sentence about rights, and publishes nothing.

    It may describe everything: else it would not even see the thing, which is another test.
    """
    describe = [replace(each, operation="DESCRIBE") for each in WORKER]
    grant("worker", [each for each in WORKER if each is not right] + describe)
    send(settings, [b'{"text":"a good film"}'] * 8 + [b"no event"] * 4)
    worker = start_worker(**secure_broker.environment("SCRAM-SHA-512", "worker"))
    assert worker.wait() == 1
    sentence = worker.log[worker.log.rindex("Error: ") :]
    assert "uthorization failed" in sentence


@pytest.mark.parametrize("right", apps.rights("worker")[:4], ids=lambda right: right.setting)
def test_a_hidden_topic_is_not_called_missing(
    right: Right,
    secure_broker: SecureKafka,
    grant: Grant,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A topic that we have no right on is told apart from one that isn't there."""
    grant("worker", [each for each in WORKER if each is not right])
    for name, value in secure_broker.environment("PLAIN", "worker").items():
        monkeypatch.setenv(name, value)
    ours = Settings()
    name = right.name(settings)
    with pytest.raises(TopicError, match="no right") as caught:
        topics.require(ours, name)
    assert name in caught.value.message
    hidden = [state.name for state in topics.check(ours) if "hidden" in state.problem]
    assert name in hidden


def test_the_commands_need_no_more_than_their_rights(
    secure_broker: SecureKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`topics` creates, `produce` sends, `results` reads, each with its rights alone."""
    # Topics that the test's fixture has not created.
    for name in ("EVENTS", "RESULTS", "DEAD_LETTERS", "TALLIES", "TRENDS", "FEEDBACK"):
        monkeypatch.setenv(f"TOPICS_{name}", f"{settings.topics.events}-new-{name.lower()}")
    monkeypatch.setenv("TRENDS_GROUP_ID", f"{settings.topics.events}-new-trends")
    fresh = Settings()
    for part in ("topics", "produce", "results"):
        secure_broker.grant("producer", apps.rights(part), fresh)
        arguments = {"produce": ["a good film"], "results": ["--since", "beginning"]}
        done = sentiment(
            part, *arguments.get(part, []), **secure_broker.environment("PLAIN", "producer")
        )
        assert done.returncode == 0, done.stderr
        assert "authorization" not in done.stderr
        secure_broker.withdraw("producer")


def test_dead_letters_are_redriven_with_no_more_than_the_rights(
    secure_broker: SecureKafka, grant: Grant, settings: Settings
) -> None:
    """`dlq list` reads, and `dlq redrive` puts back, each with its rights alone."""
    producer = clients.new_producer(settings.kafka)
    producer.produce(
        settings.topics.dead_letters,
        b'{"text":"a good film"}',
        partition=0,
        headers={
            wire.ERROR_TOPIC: settings.topics.events,
            wire.ERROR_PARTITION: "0",
            wire.ERROR_OFFSET: "0",
        },
    )
    assert producer.flush(PATIENCE_S) == 0
    for part, arguments in (("dlq", ["list"]), ("dlq redrive", ["redrive", "--all"])):
        grant("producer", apps.rights(part))
        done = sentiment("dlq", *arguments, **secure_broker.environment("PLAIN", "producer"))
        assert done.returncode == 0, done.stderr
        assert "authorization" not in done.stderr
        secure_broker.withdraw("producer")
    assert values(settings, settings.topics.events) == [b'{"text":"a good film"}']


def test_the_page_needs_no_more_than_its_rights(
    secure_broker: SecureKafka, grant: Grant, start_worker: StartWorker, tmp_path: Path
) -> None:
    """With the rights of the table the page sends a text and shows its result."""
    grant("worker", WORKER)
    grant("page", apps.rights("page"))
    start_worker(**secure_broker.environment("SCRAM-SHA-512", "worker"))
    environment = secure_broker.environment("OAUTHBEARER", "page")
    with page(tmp_path / "page.log", **environment) as process:
        status, answer = process.ask("/api/events", {"text": "a good film"})
        assert status == 202, answer
        deadline = time.monotonic() + PATIENCE_S
        while process.ask(f"/api/results/{answer['events'][0]['id']}?wait=5")[0] != 200:
            assert time.monotonic() < deadline
        log = process.log.read_text()
    assert SECRET not in log


def test_the_trends_need_no_more_than_their_rights(
    secure_broker: SecureKafka, grant: Grant, settings: Settings, start_trends: StartTrends
) -> None:
    """With the rights of the table the trends sum up tallies and labels over TLS."""
    counts = [TallyCount("s", int(time.time()) // 10 * 10, 7)]
    tally = Tally(settings.topics.events, 0, 0, 7, Model("sentiment", "1"), 0, counts)
    label = Feedback("a", "positive", Model("sentiment", "1"), "positive")
    producer = clients.new_producer(settings.kafka)
    producer.produce(settings.topics.tallies, encode(tally))
    producer.produce(settings.topics.feedback, encode(label), "a")
    assert producer.flush(PATIENCE_S) == 0
    grant("worker", apps.rights("trends"))
    trends = start_trends(**secure_broker.environment("SCRAM-SHA-512", "worker"))
    trends.wait_for(7)
    trends.wait_for_accuracy({"1": (1, 1.0)})
    # A window for each length, of all sources and of the one.
    assert len(read(settings, settings.topics.trends, lambda seen: len(seen) >= 6)) >= 6
    assert SECRET not in trends.log


def test_who_may_not_write_is_told(secure_broker: SecureKafka, grant: Grant) -> None:
    """A producer that sees the topic and may not write to it ends with a sentence about that."""
    grant("producer", [replace(right, operation="DESCRIBE") for right in apps.rights("produce")])
    environment = secure_broker.environment("PLAIN", "producer")
    done = sentiment("produce", "a good film", **environment)
    assert done.returncode == 1
    assert "don't allow this" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_page_that_may_not_write_recovers_when_it_may(
    secure_broker: SecureKafka, grant: Grant, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are reported as not sent while the right is missing, and sent once it is there."""
    grant("page", [replace(right, operation="DESCRIBE") for right in apps.rights("page")])
    with monkeypatch.context() as patch:
        for name, value in secure_broker.environment("PLAIN", "page").items():
            patch.setenv(name, value)
        outbox = Outbox(Settings())
    outbox.start()
    event = TextEvent("a good film", id="1")
    assert outbox.send([event], []) == [None]
    grant("page", apps.rights("page"))
    deadline = time.monotonic() + PATIENCE_S
    while outbox.send([event], []) == [None]:
        assert time.monotonic() < deadline
    outbox.close()
    assert encode(event) in values(settings, settings.topics.events)


def test_a_wrong_password_ends_a_worker_that_starts(
    secure_broker: SecureKafka, start_worker: StartWorker
) -> None:
    """A worker that is refused at its start ends with the reason, and without a secret in it."""
    environment = secure_broker.environment("SCRAM-SHA-512", "worker", KAFKA_SASL_PASSWORD=WRONG)
    worker = start_worker(**environment, KAFKA_CONNECT_TIMEOUT_S="3600", LOG_LEVEL="DEBUG")
    assert worker.wait() == 1
    assert "Error: The brokers at" in worker.log
    assert "refuse our credentials" in worker.log
    assert WRONG not in worker.log


def test_a_worker_outlives_credentials_that_stop_working(
    secure_broker: SecureKafka, grant: Grant, settings: Settings, start_worker: StartWorker
) -> None:
    """A running worker that is refused says so, goes on trying, and works once it is let in."""
    grant("worker", WORKER)
    worker = start_worker(**secure_broker.environment("SCRAM-SHA-256", "worker"))
    send(settings, [b'{"text":"a good film"}'])
    read_results(settings, 1)
    secure_broker.set_password(WRONG, "worker")
    try:
        # Only who comes in anew is asked.
        secure_broker.kill(0)
        secure_broker.start(0)
        secure_broker.wait_until_ready()
        worker.wait_for_log("brokers refuse us")
        never = 'sentiment_broker_refusals_total{reason="credentials"} 0.0'
        assert never not in worker.get("/metrics")
        assert worker.get("/livez") == "ok"
    finally:
        secure_broker.set_password(SECRET, "worker")
    send(settings, [b'{"text":"a bad film"}'])
    assert len(read_results(settings, 2)) == 2
    assert WRONG not in worker.log
