"""Headers that no client of ours would send, on records that anybody may write."""

from pathlib import Path

import pytest

from sentiment import wire
from sentiment.settings import Settings
from tests.integration import raw_records
from tests.integration.commands import sentiment
from tests.integration.conftest import StartWorker
from tests.integration.dead_letters import bury, listed
from tests.integration.pages import page
from tests.integration.raw_records import Header, batch, record
from tests.integration.workers import read_dead_letters, read_results, send

pytestmark = pytest.mark.kafka

UNPROCESSABLE = 422
GOOD, BAD = b'{"text":"a good film"}', b"no event"
NO_UTF8 = (b"traceparent", b"00-1"), (b"\xff\xfe", b"v")
ODD: tuple[tuple[Header, ...], ...] = (
    NO_UTF8,
    ((b"", b""), (b"", None)),
    ((b"ce_a\0b", b"v"), (b"\0", b"v")),
    ((b"ce_" + b"n" * 300, None),) * 50,
    ((wire.ERROR_OFFSET.encode(), b"9" * 5000), (wire.ERROR_PARTITION.encode(), b"\xff")),
)


def put(settings: Settings, topic: str, value: bytes, headers: tuple[Header, ...]) -> None:
    """A record on partition 1."""
    content = batch(record(value, b"k", headers))
    assert raw_records.send(settings.kafka.bootstrap_servers, topic, 1, content) == 0


def test_odd_headers_stop_no_worker(settings: Settings, start_worker: StartWorker) -> None:
    """Each such event has its result or dead letter, which says where headers couldn't be read."""
    for headers in ODD:
        put(settings, settings.topics.events, GOOD, headers)
        put(settings, settings.topics.events, BAD, headers)
    worker = start_worker()
    send(settings, [GOOD])
    assert len(read_results(settings, len(ODD) + 1)) == len(ODD) + 1
    letters = read_dead_letters(settings, len(ODD))
    assert [letter.value() for letter in letters] == [BAD] * len(ODD)
    marked = [wire.UNREADABLE_HEADERS in dict(wire.headers_of(letter)) for letter in letters]
    assert marked == [True, False, False, False, False]
    worker.wait_for_metric("sentiment_unreadable_headers_total 2.0")


def test_odd_headers_stop_no_worker_that_is_warm(
    settings: Settings, start_worker: StartWorker
) -> None:
    """Thousands of them neither, whose records come through calls that Python has specialized."""
    count = 3000
    content = b"".join(record(GOOD, headers=NO_UTF8, number=number) for number in range(count))
    assert not raw_records.send(
        settings.kafka.bootstrap_servers, settings.topics.events, 1, batch(content, count)
    )
    worker = start_worker()
    assert len(read_results(settings, count)) == count
    worker.wait_for_metric(f"sentiment_unreadable_headers_total {count}.0")


def test_odd_headers_hide_no_dead_letter(settings: Settings, tmp_path: Path) -> None:
    """On the dead-letter topic, where others may write: each is listed, shown and judged."""
    with page(tmp_path / "page.log") as shown:
        for number, headers in enumerate(ODD):
            value = b'{"text":"a good film","id":"odd-%d"}' % number
            put(settings, settings.topics.dead_letters, value, headers)
        # They don't tell which events they are; what comes behind them does.
        bury(settings, [b'{"id":"behind"}'], partition=1)
        assert shown.outcome("behind")[0] == UNPROCESSABLE
        assert "Traceback" not in shown.log.read_text()
    assert len(listed()) == len(ODD) + 1
    done = sentiment("dlq", "redrive", "--all")
    # No worker wrote them: they don't say where an event would have been.
    assert done.stderr.count("Left 1-") == len(ODD) + 1
    assert "Traceback" not in done.stderr
