"""Claims about reading, selecting and showing dead letters, without a broker."""

import json
import string

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Message
from hypothesis import given, strategies as st

from sentiment import wire
from sentiment.classify.assemble import error_headers
from sentiment.dead_letters import show
from sentiment.dead_letters.command import selection
from sentiment.dead_letters.dead_letter import DeadLetter, Marks, Selection, read
from sentiment.errors import InputError
from sentiment.wire import EventError, Headers

DLQ = "text-events.dlq"
BECAME_MS = 1_700_000_000_000


def letter(
    value: bytes | None = b"{}", *, headers: Headers | None = None, partition: int = 3
) -> DeadLetter:
    """A dead letter as the worker writes it, at 3-17, of the event text-events-1-42."""
    event = Message(
        topic="text-events", partition=1, offset=42, value=value, headers=[("own", b"1")]
    )
    if headers is None:
        headers = error_headers(event, EventError("missing_text", "no 'text'"), "7")
    return read(
        Message(
            topic=DLQ, partition=partition, offset=17, key=b"k", value=value, headers=headers,
            timestamp=(TIMESTAMP_CREATE_TIME, BECAME_MS),
        )
    )  # fmt: skip


def test_a_dead_letter_is_read_as_the_worker_wrote_it() -> None:
    """Code, place, attempt and own headers are those that the worker gave it."""
    read = letter()
    assert (read.id, read.code, read.message, read.attempt) == (
        "3-17", "missing_text", "no 'text'", 1,
    )  # fmt: skip
    assert read.input == wire.Input("text-events", 1, 42)
    assert read.headers == [("own", b"1")]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(wire.ERROR_TOPIC, b"t"), (wire.ERROR_PARTITION, b"0")],
        [(wire.ERROR_TOPIC, b"t"), (wire.ERROR_PARTITION, b"-1"), (wire.ERROR_OFFSET, b"1")],
        [(wire.ERROR_TOPIC, b""), (wire.ERROR_PARTITION, b"0"), (wire.ERROR_OFFSET, b"1")],
        [
            (wire.ERROR_TOPIC, b"t"),
            (wire.ERROR_PARTITION, "\u0663".encode()),
            (wire.ERROR_OFFSET, None),
            (wire.ERROR_ATTEMPT, b"9" * 5000),
        ],
    ],
)
def test_foreign_headers_are_no_place(headers: Headers) -> None:
    """Whatever somebody else wrote: no error, and no place is made up."""
    read = letter(None, headers=headers)
    assert read.input is None
    assert read.attempt == 0


@pytest.mark.parametrize(
    ("value", "source"),
    [
        (b'{"source": "shop", "txt": 1}', "shop"),
        (b'{"source": 5}', None),
        (b'{"text": "a"}', None),
        (b'["source"]', None),
        (b'{"source": "shop"', None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (b"", None),
    ],
)
def test_the_source_is_read_where_it_can_be(value: bytes, source: str | None) -> None:
    """The event's own `source`, also of an event that is none; never an error."""
    assert letter(value).source == source


@pytest.mark.parametrize(
    ("chosen", "matches"),
    [
        (Selection(), True),
        (Selection(codes=frozenset({"missing_text", "not_json"})), True),
        (Selection(codes=frozenset({"not_json"})), False),
        (Selection(sources=frozenset({"shop"})), True),
        (Selection(sources=frozenset({"sho"})), False),
        (Selection(since=BECAME_MS / 1000), True),
        (Selection(since=(BECAME_MS + 1) / 1000), False),
        (Selection(until=(BECAME_MS + 1) / 1000), True),
        (Selection(until=BECAME_MS / 1000), False),
        (Selection(codes=frozenset({"missing_text"}), sources=frozenset({"x"})), False),
    ],
)
def test_all_conditions_have_to_hold(chosen: Selection, *, matches: bool) -> None:
    """Codes, sources and times; `since` is inclusive to the millisecond, `until` is not."""
    assert chosen.matches(letter(b'{"source": "shop"}')) is matches


def test_ids_name_the_letter_or_its_event() -> None:
    """Its own place, with its topic or without, and its event's; nothing that begins like them."""
    names = {"3-17", f"{DLQ}-3-17", "text-events-1-42"}
    others = {"3-1", "13-17", "1-42", "text-events-3-17", "events-1-42"}
    assert Selection(ids=frozenset(names | others)).named(letter(), DLQ) == names


@pytest.mark.parametrize("name", ["", "3", "3-", "-3-17x", "text-events", "3-17 "])
def test_what_is_no_id_is_refused(name: str) -> None:
    """A wrong id is told, and not searched for."""
    with pytest.raises(InputError, match="no id of a dead letter"):
        Selection(ids=frozenset({name}))


def test_times_are_told_with_their_option() -> None:
    """A wrong time names the option; `beginning` is no end."""
    assert selection((), (), "beginning", None, ()).everything
    with pytest.raises(InputError, match="--until 'soon'"):
        selection((), (), "2h", "soon", ())
    with pytest.raises(InputError, match="--until beginning"):
        selection((), (), None, "beginning", ())


def test_marks_know_their_range() -> None:
    """A mark counts for its partition and offset alone; those outside of the range do no harm."""
    marks = Marks({0: 0, 3: 10}, {0: 50, 3: 20})
    for partition, offset in ((3, 9), (3, 20), (0, 17), (9, 17)):
        marks.add(_mark(partition, offset))
    assert letter() not in marks
    assert letter(partition=0) in marks
    marks.add(_mark(3, 17))
    assert letter() in marks
    # It came after the range was taken: nobody can have redriven it.
    assert letter() not in Marks({3: 10}, {3: 17})


def _mark(partition: int, offset: int) -> wire.Redriven:
    now = wire.decode_redriven(
        b'{"topic_id":"","partition":0,"offset":0,"attempt":1,"mended":false,'
        b'"redriven_at":"2026-01-31T08:00:00Z"}'
    ).redriven_at
    return wire.Redriven("", partition, offset, 1, mended=False, redriven_at=now)


@given(st.one_of(st.text(), st.binary()))
def test_nothing_shown_acts_on_a_terminal(hostile: str | bytes) -> None:
    """Whatever a value holds, one line of printable characters is shown."""
    assert show.safe(hostile).isprintable()


def test_hostile_values_are_escaped_and_cut() -> None:
    """Escape sequences, other directions of writing and broken UTF-8 show as what they are."""
    assert show.safe(b"a\x1b[2J\r\n\xff\xc2\x9b") == "a\\x1b[2J\\r\\n\\xff\\x9b"
    assert show.safe("ab\u202ecd") == "ab\\u202ecd"
    assert show.safe("é" * 12, 10) == "é" * 10 + " … 2 more"
    text = "\n".join(show.page(letter(b"\x1b]0;title\x07" * 9, headers=[("\x9b", b"\x1b")]), [], 5))
    assert set(text) <= set(string.printable) | {"…"}
    assert "\x1b" not in text


def test_programs_get_every_byte() -> None:
    """Bytes that are no UTF-8 are in base 64, others are text; a missing key is null."""
    said = json.loads(show.dumps(show.details(letter(b"\xff\x00"), [])))
    assert said["value_base64"] == "/wA="
    assert (said["key"], said["headers"]) == ("k", [{"name": "own", "value": "1"}])
    said = json.loads(show.dumps(show.details(letter("é\x1b".encode()), [])))
    assert said["value"] == "é\x1b"
    assert show.dumps(show.details(letter("é\x9b".encode()), [])).isascii()


def test_a_timestamp_may_be_any_number() -> None:
    """A time that no calendar has is shown as its number."""
    odd = read(Message(topic=DLQ, partition=0, offset=0, timestamp=(TIMESTAMP_CREATE_TIME, 2**62)))
    assert show.time_of(odd) == f"{2**62} ms"
    assert show.time_of(letter()) == "2023-11-14T22:13:20.000Z"
