import json
import signal
import subprocess
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka.cimpl import NewTopic
from pyarrow import parquet

from sentiment import wire
from sentiment.client import EventProducer
from sentiment.errors import BrokerError, TopicError
from sentiment.kafka import clients, topics
from sentiment.settings import Settings
from tests.integration.commands import PATIENCE_S, command, records, sentiment, values

TEXTS = [f"Text number {number}, caf\u00e9." for number in range(25)]


def texts_on(settings: Settings) -> list[str]:
    """The texts of every event on the topic, sorted."""
    return sorted(wire.decode_event(v).text for v in values(settings, settings.topics.events))


def test_arguments_are_sent(settings: Settings) -> None:
    """Texts from arguments arrive, each with an id that is its key too."""
    done = sentiment("produce", "good", "--source", "test", "bad")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Delivered 2 of 2 events to {settings.topics.events} (")
    found = records(settings, settings.topics.events)
    decoded = [wire.decode_event(record.value() or b"") for record in found]
    assert sorted(event.text for event in decoded) == ["bad", "good"]
    assert {event.source for event in decoded} == {"test"}
    for record, event in zip(found, decoded, strict=True):
        assert (record.key() or b"").decode() == str(uuid.UUID(event.id))


def test_standard_input_is_read_by_line(settings: Settings) -> None:
    """One text per line; the empty one is told by its number and skipped."""
    done = sentiment("produce", "--json", input="\n".join([*TEXTS[:10], "", *TEXTS[10:]]) + "\n")
    assert done.returncode == 0
    summary = json.loads(done.stdout)
    assert (summary["sent"], summary["delivered"], summary["skipped"]) == (25, 25, 1)
    assert "row 11" in done.stderr
    assert texts_on(settings) == sorted(TEXTS)


def write(path: Path) -> list[str]:
    """Write the texts in the format of the path's ending; returns options to read them."""
    columns = {"review": TEXTS, "nr": list(range(25)), "shop": [f"s{n % 3}" for n in range(25)]}
    table = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if path.suffix == ".parquet":
        parquet.write_table(pa.table(columns), path)
    elif path.suffix == ".csv":
        rows = [f'"{row["review"]}",{row["nr"]},{row["shop"]}' for row in table]
        path.write_text("\n".join(["review,nr,shop", *rows]))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, table)))
    else:
        path.write_text("\n".join(TEXTS))
        return []
    return ["--text-column", "review", "--id-column", "nr", "--key-column", "shop"]


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".jsonl", ".parquet"])
def test_every_format_arrives_whole(settings: Settings, tmp_path: Path, suffix: str) -> None:
    """All rows of a file arrive, with the id and the key that its columns say."""
    path = tmp_path / f"reviews{suffix}"
    options = write(path)
    done = sentiment("produce", "--file", str(path), *options)
    assert done.returncode == 0, done.stderr
    assert "Delivered 25 of 25 events" in done.stdout
    assert texts_on(settings) == sorted(TEXTS)
    if options:
        for record in records(settings, settings.topics.events):
            event = wire.decode_event(record.value() or b"")
            assert (record.key() or b"").decode() == f"s{int(event.id or '') % 3}"


def test_whole_events_pass_through(settings: Settings, tmp_path: Path) -> None:
    """A line of JSON Lines that is a complete event arrives byte for byte, unknown fields too."""
    line = (
        b'{"id":"a-1","text":"good","source":"shop","created_at":"2026-01-31T08:00:00Z",'
        b'"explain":true,"attributes":{"n":1.50},"likes":[3]}'
    )
    path = tmp_path / "events.jsonl"
    path.write_bytes(line + b"\n\n")
    assert sentiment("produce", "--file", str(path)).returncode == 0
    (record,) = records(settings, settings.topics.events)
    assert (record.key(), record.value()) == (b"a-1", line)


def test_bad_rows_are_skipped_or_the_end(settings: Settings, tmp_path: Path) -> None:
    """Bad rows are told by number and skipped; with --strict the first one ends it with 2."""
    path = tmp_path / "events.jsonl"
    path.write_text('{"text":"one"}\n{"text":1}\nnope\n{"text":"two"}\n')
    done = sentiment("produce", "--file", str(path))
    assert done.returncode == 0
    assert "Delivered 2 of 2 events" in done.stdout
    assert "Skipped 2 bad rows." in done.stdout
    assert [json.loads(line)["row"] for line in done.stderr.splitlines()] == [
        f"{path}, row 2",
        f"{path}, row 3",
    ]
    done = sentiment("produce", "--strict", "--file", str(path))
    assert done.returncode == 2
    assert "Delivered 1 of 1 events" in done.stdout
    assert f"Error: {path}, row 2: " in done.stderr
    assert texts_on(settings) == ["one", "one", "two"]


def test_raw_sends_anything(settings: Settings) -> None:
    """`--raw` sends lines as they are, so that dead letters can be tried."""
    done = sentiment("produce", "--raw", input="not an event\n\n{}\n")
    assert done.returncode == 0
    assert values(settings, settings.topics.events) == [b"", b"not an event", b"{}"]


def test_limit_and_repeat(settings: Settings, tmp_path: Path) -> None:
    """`--repeat` begins the file again until `--limit` events have been sent."""
    path = tmp_path / "texts.txt"
    path.write_text("one\ntwo\n")
    done = sentiment("produce", "--file", str(path), "--repeat", "--limit", "5")
    assert "Delivered 5 of 5" in done.stdout
    assert texts_on(settings) == ["one", "one", "one", "two", "two"]
    ids = {wire.decode_event(v).id for v in values(settings, settings.topics.events)}
    assert len(ids) == 5
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    assert sentiment("produce", "--file", str(empty), "--repeat").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_delivers_what_was_sent(
    settings: Settings, tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C ends reading; what was sent arrives, is counted, and the exit code is 130."""
    path = tmp_path / "texts.txt"
    path.write_text("one\n")
    summary = interrupted(
        settings, number, "--file", str(path), "--repeat", "--rate", "2000", "--json"
    )
    assert summary["delivered"] == summary["sent"] == len(texts_on(settings)) > 0


def test_a_signal_ends_waiting_for_input(settings: Settings) -> None:
    """Ctrl-C is seen while standard input is open and says nothing."""
    summary = interrupted(settings, signal.SIGINT, "--json", first="good\n")
    assert summary["delivered"] == summary["sent"] == len(texts_on(settings)) == 1


def test_a_signal_ends_waiting_for_the_rate(settings: Settings) -> None:
    """Ctrl-C is seen while the next event isn't due for hours."""
    arguments = ("one", "two", "--rate", "0.0001", "--json")
    summary = interrupted(settings, signal.SIGINT, *arguments)
    assert summary["delivered"] == summary["sent"] == len(texts_on(settings)) == 1


def interrupted(
    settings: Settings, number: signal.Signals, *arguments: str, first: str = ""
) -> dict[str, int]:
    """Send a signal to `sentiment produce` once its first event is there; its summary."""
    with subprocess.Popen(
        command("produce", *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(first.encode())
        process.stdin.flush()
        deadline = time.monotonic() + PATIENCE_S
        while not values(settings, settings.topics.events) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 130
        summary: dict[str, int] = json.loads(process.stdout.read())
        return summary


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--raw", "--format", "csv"], 2, "--raw"),
        (["--repeat"], 2, "--repeat"),
        (["--rate", "0", "good"], 2, "--rate"),
        (["--topic", "absent-topic", "good"], 1, "'absent-topic'"),
        (["--file", "absent.csv"], 2, "absent.csv"),
        (["", " "], 2, "Not one row"),
    ],
)
def test_what_cannot_be_done_is_told(
    settings: Settings, arguments: list[str], code: int, message: str
) -> None:
    """Wrong use and missing things end with a sentence; nothing is sent."""
    done = sentiment("produce", *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert texts_on(settings) == []


def test_library_sends_every_field(settings: Settings) -> None:
    """Fields, key and headers arrive as they were given; the id is returned."""
    now = datetime(2026, 1, 31, tzinfo=UTC)
    with EventProducer(settings) as producer:
        given = producer.send(
            "good", id="a", key=b"k", source="shop", created_at=now, explain=True,
            attributes={"n": 1}, headers=[("traceparent", b"00-1")],
        )  # fmt: skip
        made = producer.send("bad")
        producer.send_raw(None, key="tombstone")
    assert given == "a"
    assert (producer.sent, producer.delivered, producer.failed) == (3, 3, 0)
    by_key = {record.key(): record for record in records(settings, settings.topics.events)}
    assert by_key.keys() == {b"k", made.encode(), b"tombstone"}
    assert by_key[b"tombstone"].value() is None
    assert by_key[b"k"].headers() == [("traceparent", b"00-1")]
    assert wire.decode_event(by_key[b"k"].value() or b"") == wire.TextEvent(
        "good", "a", "shop", now, explain=True, attributes={"n": 1}
    )


def test_a_full_queue_slows_the_sender_down(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for five, five hundred events all arrive: none is dropped, none raises."""
    monkeypatch.setattr("sentiment.kafka.producer.MAX_QUEUED", 5)
    with EventProducer(settings) as producer:
        for number in range(500):
            producer.send(f"text {number}")
    assert producer.delivered == 500
    assert len(texts_on(settings)) == 500


def test_what_the_broker_refuses_is_raised(settings: Settings) -> None:
    """Events that a topic doesn't take are counted and raised, with the broker's reason."""
    topic = uuid.uuid4().hex
    admin = clients.new_admin(settings.kafka)
    shape = NewTopic(topic, 1, config={"max.message.bytes": "1000"})
    admin.create_topics([shape])[topic].result(timeout=30)
    topics.require(settings, topic)
    producer = EventProducer(settings, topic=topic)
    producer.send("short")
    producer.flush()
    producer.send(uuid.uuid4().hex * 200 + "".join(map(chr, range(256, 5000))))
    with pytest.raises(BrokerError, match=r"1 of 2 events were not delivered.*too large"):
        producer.flush()
    assert (producer.delivered, producer.failed) == (1, 1)


def test_library_refuses_a_missing_topic(settings: Settings) -> None:
    """A producer for a topic that doesn't exist isn't made."""
    with pytest.raises(TopicError, match="'absent-topic'"):
        EventProducer(settings, topic="absent-topic")
