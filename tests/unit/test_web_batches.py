import csv
import io
import json
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from sentiment import events
from sentiment.events import Headers, Input, Model, SentimentResult, TextEvent
from sentiment.settings import WebSettings
from web.batches import export, reading
from web.batches.batch import Batch
from web.batches.reading import Limits, Lines
from web.batches.store import Batches
from web.batches.upload import Format
from web.errors import ApiError
from web.outbox import Outbox
from web.outcomes import DeadLetter

NOW = datetime.now(UTC)
# Far above what any of these waits takes; reached only when something is broken.
PATIENCE_S = 30.0


def read(body: str | bytes, kind: Format, *, lines: int = 10, size: int = 1000) -> Lines:
    """The lines of an upload."""
    data = body.encode() if isinstance(body, str) else body
    return reading.read(io.BytesIO(data), kind, "b", Limits(lines, size))


def texts(lines: Lines) -> dict[int, str]:
    """The texts that can be sent, by the numbers of their lines."""
    return {number: events.decode_event(value).text for number, value in lines.events.items()}


def result(name: str, score: float = 0.9) -> SentimentResult:
    """What a worker says of an event."""
    sentiment = "positive" if score > 0.5 else "negative"
    place, model = Input("t", 0, 0), Model("sentiment", "7")
    return SentimentResult(
        name, cast("Any", sentiment), score, max(score, 1 - score), model, place, NOW, NOW
    )


def test_lines_of_text() -> None:
    """Each line is a text with an id made of the upload's; empty lines are none."""
    lines = read("\ufeffgood\r\n\n \t\nbad\n", "text")
    assert texts(lines) == {1: "good", 4: "bad"}
    event = events.decode_event(lines.events[4])
    assert (event.id, event.source) == ("b-4", "web")
    assert not lines.refused


def test_json_lines_keep_their_fields() -> None:
    """An object's source and attributes stay; its id is the upload's, by which it is found."""
    lines = read(
        '{"text":"a","id":"own","source":"shop","attributes":{"k":1}}\n\n{"x":1}\n', "jsonl"
    )
    assert events.decode_event(lines.events[1]) == TextEvent(
        "a", "b-1", "shop", attributes={"k": 1}
    )
    assert (lines.refused[3].line, lines.refused[3].code) == (3, "missing_text")


@pytest.mark.parametrize(
    ("header", "row"),
    [("id,Text,stars", "7,good,1"), ("TEXT ", "good"), ("review", "good"), ("\ufefftext", "good")],
)
def test_the_column_of_the_texts_is_found(header: str, row: str) -> None:
    """It is called text, in any case, or is the only one."""
    assert texts(read(f"{header}\r\n{row}\r\n", "csv")) == {2: "good"}


def test_csv_has_texts_of_many_lines() -> None:
    """What stands in quotes is one text; a broken row is refused by itself."""
    lines = read(
        'n,text\n1,"so ""good"",\nreally"\n2\n3,caf\udce9\n4,fine\n'.encode(
            errors="surrogateescape"
        ),
        "csv",
    )
    assert texts(lines) == {2: 'so "good",\nreally', 5: "fine"}
    assert [(line.line, line.code) for line in lines.refused.values()] == [
        (3, "invalid_field"),
        (4, "invalid_utf8"),
    ]


@pytest.mark.parametrize(
    ("body", "kind", "status", "code", "word"),
    [
        ("id,review\n1,good\n", "csv", 422, "no_text_column", "'id', 'review'"),
        ("text,TEXT\n1,good\n", "csv", 422, "no_text_column", "'TEXT'"),
        ("id;text\n1;good\n", "csv", 422, "no_text_column", "commas"),
        ("", "csv", 422, "no_text_column", "none"),
        ('text\n"good\n', "csv", 422, "broken_table", "line"),
        ("text\n", "csv", 422, "no_lines", "no lines"),
        ("\n \n", "text", 422, "no_lines", "no lines"),
        ("1\n", "jsonl", 422, "no_lines", "can be sent"),
        ("a\n" * 11, "text", 413, "too_many_lines", "10"),
    ],
)
def test_uploads_that_are_none(body: str, kind: Format, status: int, code: str, word: str) -> None:
    """What can't be read as a whole is refused, and told apart from bad lines."""
    with pytest.raises(ApiError, match=word) as caught:
        read(body, kind)
    assert (caught.value.status, caught.value.code) == (status, code)


def test_a_line_that_is_too_large_is_refused_alone() -> None:
    """The workers' limit is each line's; those beside it are sent."""
    lines = read(f"{'a' * 1000}\ngood\n", "text")
    assert texts(lines) == {2: "good"}
    assert lines.refused[1].code == "too_large"


class Post:
    """In the place of the outbox: takes what it is let take.

    Args:
        failing: How often in the beginning it takes only the first event.
    """

    def __init__(self, failing: int = 0) -> None:
        self.failing = failing
        self.sent: list[str] = []
        self.open = threading.Event()
        self.open.set()

    def send(self, batch: Sequence[TextEvent], headers: Headers) -> list[str]:
        """Take events."""
        assert headers == [("traceparent", "x")]
        self.open.wait(PATIENCE_S)
        taken = batch[:1] if self.failing > 0 else batch
        self.failing -= 1
        self.sent += [event.id or "" for event in taken]
        return [event.id or "" for event in batch[len(taken) :]]


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Post:
    """An outbox that needs no broker, and tries that follow each other at once."""
    monkeypatch.setattr("web.batches.store.RETRY_S", 0.01)
    return Post()


@pytest.fixture
def store(post: Post) -> Iterator[Batches]:
    """A store of two uploads."""
    batches = Batches(WebSettings(max_batches=2), cast("Outbox", post))
    batches.start()
    yield batches
    post.open.set()
    batches.close()


def add(store: Batches, name: str, count: int = 3) -> Batch:
    """An upload of some texts in a store."""
    lines = reading.read(io.BytesIO(b"a\n" * count), "text", name, Limits(5000, 1000))
    batch = Batch(name, lines, [("traceparent", "x")])
    store.add(batch)
    return batch


def wait_for_state(batch: Batch, state: str) -> None:
    """Wait until an upload is in a state."""
    deadline = time.monotonic() + PATIENCE_S
    while batch.progress().state != state:
        assert time.monotonic() < deadline, batch.progress()
        time.sleep(0.01)


def test_what_was_not_taken_is_sent_again(store: Batches, post: Post) -> None:
    """Each line is sent until the brokers have it, and counted once."""
    post.failing = 3
    batch = add(store, "b", 1200)
    wait_for_state(batch, "waiting")
    assert batch.progress().sent == 1200
    assert sorted(post.sent) == sorted(f"b-{number}" for number in range(1, 1201))


def test_answers_are_counted_by_line(store: Batches) -> None:
    """Results and dead letters of its lines count once, and a result is the last word."""
    batch = add(store, "b")
    letter = DeadLetter("b-3", "model_failed", "no answer", Input("t", 0, 0))
    store.take({"b-1": result("b-1"), "b-2": result("b-2", 0.1), "b-3": letter})
    store.take({"b-9": result("b-9"), "b-x": result("b-x"), "c-1": result("c-1"), "b": letter})
    found = batch.progress()
    assert (found.answered, found.positive, found.negative, found.dead_letters) == (2, 1, 1, 1)
    wait_for_state(batch, "done")
    store.take({"b-3": result("b-3")})
    store.take({"b-3": letter})
    assert (batch.progress().positive, batch.progress().dead_letters) == (2, 0)


def test_finished_uploads_make_room(store: Batches, post: Post) -> None:
    """The oldest that is done goes; while all are waited for, the next one has to come again."""
    first, second = add(store, "a"), add(store, "b")
    post.open.clear()
    with pytest.raises(ApiError) as caught:
        add(store, "c")
    assert (caught.value.status, caught.value.code) == (503, "too_many_batches")
    store.take({f"b-{number}": result(f"b-{number}") for number in (1, 2, 3)})
    add(store, "c")
    assert store.get("b") is None
    assert store.get("a") is first
    assert second.done


def test_uploads_are_kept_for_a_time(post: Post) -> None:
    """An old upload is gone, whether or not it was answered."""
    store = Batches(WebSettings(batch_minutes=1e-5), cast("Outbox", post))
    add(store, "a")
    time.sleep(0.01)
    assert store.get("a") is None


def test_results_are_in_the_lines_order() -> None:
    """Each line has its state, its text and what came of it, refused ones too."""
    batch = Batch("b", read('{"text":"=1+1"}\n{}\n{"text":"b"}\n{"text":"c"}\n', "jsonl"), [])
    batch.take(4, DeadLetter("b-4", "model_failed", "no answer", Input("t", 0, 0)))
    batch.take(1, result("b-1"))
    rows = [json.loads(line) for line in b"".join(export.json_lines(batch)).splitlines()]
    assert [(row["line"], row["state"]) for row in rows] == [
        (1, "answered"),
        (2, "refused"),
        (3, "waiting"),
        (4, "dead_letter"),
    ]
    assert (rows[0]["text"], rows[0]["score"], rows[0]["model_version"]) == ("=1+1", 0.9, "7")
    assert (rows[1]["error_code"], rows[3]["error_code"]) == ("missing_text", "model_failed")
    table = io.StringIO(b"".join(export.as_csv(batch)).decode(), newline="")
    cells = list(csv.DictReader(table))
    assert [row["text"] for row in cells] == ["'=1+1", "", "b", "c"]
    assert cells[0]["score"] == "0.9"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", " =1", "\rx", "\uff1d1"])
def test_no_cell_is_a_formula(text: str) -> None:
    """What a spreadsheet might run has an apostrophe before it; other texts are as they were."""
    assert export.harmless(text) == f"'{text}"
    assert [export.harmless(cell) for cell in ("a=1", "", None, 0.5)] == ["a=1", "", None, 0.5]
