import csv
import gzip
import io
import json
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from flask import Flask
from werkzeug.exceptions import RequestEntityTooLarge

from sentiment import wire
from sentiment.rows import Format
from sentiment.settings import WebSettings
from sentiment.wire import Headers, Input, Model, SentimentResult, TextEvent
from web.answers import ApiError
from web.batches import export, reading
from web.batches.batch import Batch, Batches, name_of
from web.batches.reading import Limits, Lines
from web.feeds import Outcomes, Unclassified
from web.outbox import Outbox, Tell

NOW = datetime.now(UTC)
# Far above what any of these waits takes; reached only when something is broken.
PATIENCE_S = 30.0


def read(body: str | bytes, kind: Format, *, lines: int = 10, size: int = 1000) -> Lines:
    """The lines of an upload."""
    data = body.encode() if isinstance(body, str) else body
    return reading.read(io.BytesIO(data), kind, "b", Limits(lines, size, 100_000))


def texts(lines: Lines) -> dict[int, str]:
    """The texts that can be sent, by the numbers of their lines."""
    return {number: wire.decode_event(value).text for number, value in lines.events.items()}


def place_of(name: str) -> Input:
    """Where the event of a line stands: in the place of the line's number."""
    return Input("t", 0, int(name.partition("-")[2]))


def result(name: str, score: float = 0.9, place: Input | None = None) -> SentimentResult:
    """What a worker says of an event."""
    sentiment = "positive" if score > 0.5 else "negative"
    model = Model("sentiment", "7")
    place = place or place_of(name)
    return SentimentResult(
        name, cast("Any", sentiment), score, max(score, 1 - score), model, place, NOW, NOW
    )


def test_lines_of_text() -> None:
    """Each line is a text with an id made of the upload's; empty lines are none."""
    lines = read("\ufeffgood\r\n\n \t\nbad\n", "lines")
    assert texts(lines) == {1: "good", 4: "bad"}
    event = wire.decode_event(lines.events[4])
    assert (event.id, event.source) == ("b-4", "web")
    assert not lines.refused


def test_json_lines_keep_their_fields() -> None:
    """An object's source and attributes stay; its id is the upload's, by which it is found."""
    lines = read(
        '{"text":"a","id":"own","source":"shop","attributes":{"k":1}}\n\n{"x":1}\n', "jsonl"
    )
    assert wire.decode_event(lines.events[1]) == TextEvent("a", "b-1", "shop", attributes={"k": 1})
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
        ("id;text\n1;good\n", "csv", 422, "no_text_column", "semicolons"),
        ("", "csv", 422, "no_text_column", "none"),
        ('text\n"good\n', "csv", 422, "no_lines", "can be sent"),
        (gzip.compress(b"x" * 150_000, mtime=0), "lines", 422, "broken_table", "unpacks to more"),
        ("text\n", "csv", 422, "no_lines", "no lines"),
        ("\n \n", "lines", 422, "no_lines", "no lines"),
        ("1\n", "jsonl", 422, "no_lines", "can be sent"),
        ("a\n" * 11, "lines", 413, "too_many_lines", "10"),
    ],
)
def test_uploads_that_are_none(
    body: str | bytes, kind: Format, status: int, code: str, word: str
) -> None:
    """What can't be read as a whole is refused, and told apart from bad lines."""
    with pytest.raises(ApiError, match=word) as caught:
        read(body, kind)
    assert (caught.value.status, caught.value.code) == (status, code)


@pytest.mark.parametrize("more", [{f"f{n}": "1" for n in range(1001)}, {"f": "1" * 505_000}])
def test_a_form_that_is_too_large_is_told_apart(more: dict[str, str]) -> None:
    """Too many parts are no upload of too many bytes."""
    form = {**more, "file": (io.BytesIO(b"good"), "a.txt")}
    with Flask("test").test_request_context(method="POST", data=form):
        with pytest.raises(RequestEntityTooLarge):
            reading.body(1000)
        with pytest.raises(ApiError, match="1,000 parts") as caught:
            reading.body(10_000_000)
    assert (caught.value.status, caught.value.code) == (413, "form_too_large")


def test_a_line_that_is_too_large_is_refused_alone() -> None:
    """The workers' limit is each line's; those beside it are sent."""
    lines = read(f"{'a' * 1000}\ngood\n", "lines")
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

    def send(self, batch: Sequence[TextEvent], headers: Headers, tell: Tell) -> list[Input | None]:
        """Take events."""
        assert headers == [("traceparent", "x")]
        self.open.wait(PATIENCE_S)
        taken = batch[:1] if self.failing > 0 else batch
        self.failing -= 1
        places = [place_of(event.id or "") for event in taken]
        for number, (event, place) in enumerate(zip(taken, places, strict=True)):
            self.sent.append(event.id or "")
            tell(number, place)
        return [*places, *[None] * (len(batch) - len(taken))]


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Post:
    """An outbox that needs no broker, and tries that follow each other at once."""
    monkeypatch.setattr("web.batches.batch.RETRY_S", 0.01)
    return Post()


@pytest.fixture
def outcomes() -> Outcomes:
    """What became of the latest events."""
    return Outcomes(100)


@pytest.fixture
def store(post: Post, outcomes: Outcomes) -> Iterator[Batches]:
    """A store of two uploads."""
    batches = Batches(WebSettings(max_batches=2), cast("Outbox", post), outcomes.at)
    batches.start()
    yield batches
    post.open.set()
    batches.close()


def add(store: Batches, secret: str, count: int = 3) -> Batch:
    """An upload of some texts in a store."""
    lines = reading.read(
        io.BytesIO(b"a\n" * count), "lines", name_of(secret), Limits(5000, 1000, 100_000)
    )
    batch = Batch(secret, lines, [("traceparent", "x")])
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
    assert sorted(post.sent) == sorted(f"{batch.name}-{number}" for number in range(1, 1201))


def test_answers_are_counted_by_line(store: Batches) -> None:
    """Results and dead letters of what was sent for its lines count once, and nobody else's."""
    batch = add(store, "b")
    wait_for_state(batch, "waiting")
    one, two, three = (f"{batch.name}-{number}" for number in (1, 2, 3))
    # Of another event with the same id, of another id in the same place, and of no upload.
    others = [result(three, place=Input("t", 1, 3)), result("x-3"), result(f"{batch.name}-9")]
    letter = Unclassified(three, "model_failed", "no answer", place_of(three))
    store.take([*others, result(one), result(two, 0.1), letter, *others])
    found = batch.progress()
    assert (found.state, found.positive, found.negative, found.dead_letters) == ("done", 1, 1, 1)
    store.take([result(three), result(one, 0.1), letter])
    assert batch.progress() == found


def test_an_answer_may_come_before_the_brokers_word(
    store: Batches, post: Post, outcomes: Outcomes
) -> None:
    """A result that was read before the page knew where its event stands counts all the same."""
    post.open.clear()
    batch = add(store, "b", 1)
    early = result(f"{batch.name}-1")
    outcomes.add([early])
    store.take([early])
    assert batch.progress().answered == 0
    post.open.set()
    wait_for_state(batch, "done")
    assert batch.progress().answered == 1


def test_finished_uploads_make_room(store: Batches, post: Post) -> None:
    """The oldest that is done goes; while all are waited for, the next one has to come again."""
    first, second = add(store, "a"), add(store, "b")
    post.open.clear()
    with pytest.raises(ApiError) as caught:
        add(store, "c")
    assert (caught.value.status, caught.value.code) == (503, "too_many_batches")
    for number in (1, 2, 3):
        name = f"{second.name}-{number}"
        second.add_sent(number, place_of(name))
        store.take([result(name)])
    add(store, "c")
    assert store.get("b") is None
    assert store.get("a") is first
    assert second.done


def test_uploads_are_kept_for_a_time(post: Post) -> None:
    """An old upload is gone, whether or not it was answered."""
    store = Batches(WebSettings(batch_minutes=1e-5), cast("Outbox", post), lambda *_: None)
    add(store, "a")
    time.sleep(0.01)
    assert store.get("a") is None


def test_results_are_in_the_lines_order() -> None:
    """Each line has its state, its text and what came of it, refused ones too."""
    batch = Batch("b", read('{"text":"=1+1"}\n{}\n{"text":"b"}\n{"text":"c"}\n', "jsonl"), [])
    names = {number: f"{batch.name}-{number}" for number in batch.lines.events}
    for number, name in names.items():
        batch.add_sent(number, place_of(name))
    batch.take(Unclassified(names[4], "model_failed", "no answer", place_of(names[4])))
    batch.take(result(names[1]))
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
