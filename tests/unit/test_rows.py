"""Claims about the one reader of rows: each format, what is wrong with files, and with rows."""

import csv
import gzip
import io
from collections.abc import Callable
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pytest
from pyarrow import parquet

from sentiment import rows
from sentiment.errors import InputError
from sentiment.rows import Fault, Format, Row
from sentiment.wire import EventError, TextEvent

TEXTS = ['So "good",\nyes', "Bäd", "fine"]


def read(
    content: bytes, form: Format, *optional: str, max_row: int = 10_000
) -> list[tuple[int, Row]]:
    """All rows of a file."""
    choose = rows.columns(["text"], optional, "it", "See --text-column.")
    stream = rows.opened(io.BufferedReader(io.BytesIO(content)), "it", len(content))
    return list(rows.rows(stream, form, choose, "it", max_row))


def plain(found: list[tuple[int, Row]]) -> list[tuple[int, Any]]:
    """Rows as their texts, faults as their messages."""

    def value(row: Row) -> object:
        if isinstance(row, Fault):
            return row.message
        text = row["text"]
        return msgspec.json.decode(text) if isinstance(text, msgspec.Raw) else text

    return [(number, value(row)) for number, row in found]


def as_parquet(texts: list[str]) -> bytes:
    """A table of texts."""
    sink = io.BytesIO()
    parquet.write_table(pa.table({"n": range(len(texts)), "text": texts}), sink)
    return sink.getvalue()


def as_table(texts: list[str], mark: str) -> bytes:
    """The same as text."""
    quoted = ('"' + text.replace('"', '""') + '"' for text in texts)
    return "".join(f"{mark.join(row)}\r\n" for row in [("n", "text"), *zip("012", quoted)]).encode()  # noqa: B905


FILES: dict[Format, Callable[[list[str]], bytes]] = {
    "csv": lambda texts: as_table(texts, ","),
    "tsv": lambda texts: as_table(texts, "\t"),
    "json": lambda texts: msgspec.json.encode([{"text": text} for text in texts]),
    "jsonl": lambda texts: b"".join(msgspec.json.encode({"text": t}) + b"\n" for t in texts),
    "parquet": as_parquet,
}


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_each_format_gives_the_same_rows(form: Format, pack: Callable[[bytes], bytes]) -> None:
    """Also compressed, and with a mark of the byte order, which is part of no name and no value."""
    content = FILES[form](TEXTS)
    marked = content if form == "parquet" else b"\xef\xbb\xbf" + content
    for one in (content, marked):
        assert plain(read(pack(one), form)) == list(enumerate(TEXTS, 1))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.csv", "csv"), ("A.CSV.GZ", "csv"), ("a.tsv", "tsv"), ("a.ndjson.gz", "jsonl"),
        ("a.json", "json"), ("a.txt", "lines"), ("x/a.parquet", "parquet"),
        ("a", None), ("a.gz", None), ("a.xlsx", None), ("csv", None),
    ],
)  # fmt: skip
def test_the_format_is_told_by_the_name(name: str, form: Format | None) -> None:
    """In any case, and below `.gz`."""
    assert rows.format_of(name) == form


def test_lines_are_texts() -> None:
    """Line ends of Unix and Windows are no part of a text; bytes that are none cost their line."""
    found = plain(read(b"\xef\xbb\xbfgood\r\nbad \n\ncaf\xe9 au lait\nlast", "lines"))
    (number, fault) = found.pop(3)
    assert found == [(1, "good"), (2, "bad "), (3, ""), (5, "last")]
    assert number == 4
    assert fault.startswith("not UTF-8 at byte 3 (in Windows' encoding cp1252 it would be 'é au")


@pytest.mark.parametrize("form", ["lines", "csv", "jsonl", "json"])
@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-16LE", "UTF-16BE", "UTF-32"])
def test_another_encoding_is_named(form: Format, encoding: str) -> None:
    """A file of another encoding is one error with its name, and not a heap of bad rows."""
    with pytest.raises(InputError, match=encoding) as told:
        read('text\n{"text":"a"}\n'.encode(encoding), form)
    assert f"iconv -f {encoding}" in told.value.hint


@pytest.mark.parametrize("form", ["lines", "jsonl", "csv"])
def test_an_endless_line_is_one_bad_row(form: Format) -> None:
    """A line beyond the limit is passed over in pieces, and the next one is read."""
    good = {"lines": b"good", "jsonl": b'{"text":"good"}', "csv": b"good"}[form]
    content = good + b"\n" + b"y" * 700_000 + b"\n" + good
    found = plain(read((b"text\n" if form == "csv" else b"") + content, form, max_row=20))
    assert [found[0][1], found[2][1]] == ["good", "good"]
    assert "20" in found[1][1]


def test_a_short_bound_is_nobody_elses() -> None:
    """Python's limit of a CSV field is the whole process', where others read CSV too."""
    before = csv.field_size_limit()
    [(_, row)] = read(b"text\n" + b"x" * 50 + b"\n", "csv", max_row=20)
    assert isinstance(row, Fault)
    assert row.reason == "too_long"
    assert csv.field_size_limit() == before


def test_bad_rows_of_csv() -> None:
    """Each costs itself alone; a quote that is closed nowhere costs what it swallows."""
    content = (
        b'text,id\n1\ngood,2\nbad,3,worse\n\n"a "b" c",4\ncaf\xe9,5\nfine,6\n"open,7\nlost,8\n'
    )
    found = read(content, "csv", "id")
    assert [row.reason if isinstance(row, Fault) else row for _, row in found] == [
        "ragged",
        {"text": "good", "id": "2"},
        "ragged",
        "malformed",
        "not_utf8",
        {"text": "fine", "id": "6"},
        "malformed",
        "malformed",
    ]
    assert [number for number, _ in found] == list(range(1, 9))


@pytest.mark.parametrize(
    ("content", "form", "words"),
    [
        (b"review,stars\na,5\n", "csv", r"no column 'text'; it has 'review', 'stars'"),
        (b"id;text\n1;a\n", "csv", r"semicolons stood between columns"),
        (b"id\ttext\n1\ta\n", "csv", r"tabs stood"),
        (b"id,text\n1,a\n", "tsv", r"commas stood"),
        (b"text,id,text\na,1,b\n", "csv", r"more than one column named 'text'"),
        (b"", "csv", r"it has none"),
        (b'{"text":"a"}\n{"text":"b"}\n', "json", r"no JSON list"),
        (b"PAR1 is not enough", "parquet", r"parquet"),
        (as_parquet(["a"]), "csv", r"is a Parquet file"),
        (b"PK\x03\x04 and so on", "lines", r"is a zip archive"),
        (gzip.compress(b"text\na\n" * 1000, mtime=0)[:-20], "csv", r"csv"),
    ],
)
def test_a_file_that_is_something_else_is_refused(content: bytes, form: Format, words: str) -> None:
    """One sentence says what is there instead, and what it looks like."""
    with pytest.raises(InputError, match=f"it .*{words}"):
        read(content, form)


def test_json_keeps_every_member_as_it_is() -> None:
    """Objects pass through with each value's own spelling; empty lines are no rows."""
    found = read(b'{"text":"good","n":1.50,"big":%s}\n\n[1]\nnope\n' % (b"9" * 40), "jsonl")
    (_, first), *bad = found
    assert isinstance(first, dict)
    assert {name: bytes(value) for name, value in first.items()} == {
        "text": b'"good"',
        "n": b"1.50",
        "big": b"9" * 40,
    }
    assert plain(bad) == [(3, "not a JSON object"), (4, "not a JSON object")]


def events(content: bytes, form: Format) -> list[tuple[int, str]]:
    """The texts of the events in a file, or the codes of why there are none."""
    choose = rows.columns(["text"], ["id"], "it", "")
    stream: BinaryIO = io.BytesIO(content)
    return [
        (number, event.text if isinstance(event, TextEvent) else event.code)
        for batch in rows.events(stream, form, choose, "it", 100)
        for number, event in batch
    ]


@pytest.mark.parametrize("form", FILES)
def test_events_follow_the_rules_of_the_wire(form: Format) -> None:
    """Whatever the format: an empty text and one that is too large are none, the next one is."""
    content = FILES[form](["good", " ", "x" * 200])
    assert events(content, form) == [(1, "good"), (2, "empty_text"), (3, "too_large")]


def test_events_of_json_have_the_topics_errors() -> None:
    """Of JSON, each value is judged as a record of the topic is."""
    assert events(b'[{"text":"a"}, {"x":1}, 7, {"text":5}]', "json") == [
        (1, "a"),
        (2, "missing_text"),
        (3, "not_object"),
        (4, "text_not_string"),
    ]
    [[(_, error)]] = rows.events(io.BytesIO(b"\xff{}"), "jsonl", lambda _: [], "it", 100)
    assert isinstance(error, EventError)
    assert error.code == "invalid_utf8"
