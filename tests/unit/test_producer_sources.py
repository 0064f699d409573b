import io
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from pyarrow import parquet

from producer import sources
from producer.sources import Source
from sentiment.errors import InputError
from sentiment.rows import Row


def rows(path: Path, form: Any = "auto", *columns: str) -> list[tuple[int, Row]]:  # noqa: ANN401 - also wrong ones
    """Everything in a file."""
    with closing(Source(str(path), form)) as source:
        return list(source.rows(set(columns or ["text"]), {"id"}))


def test_lines_are_texts(tmp_path: Path) -> None:
    """Line ends of Unix and Windows and a byte order mark are no part of a text."""
    path = tmp_path / "texts.txt"
    path.write_bytes(b"\xef\xbb\xbfgood\r\nbad \n\nlast")
    assert rows(path) == [
        (1, {"text": "good"}),
        (2, {"text": "bad "}),
        (3, {"text": ""}),
        (4, {"text": "last"}),
    ]


def test_a_line_that_is_no_text_is_one_bad_row(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 spoil their line only."""
    path = tmp_path / "texts.txt"
    path.write_bytes(b"good\ncaf\xe9\nfine\n")
    assert rows(path) == [(1, {"text": "good"}), (2, "not UTF-8 at byte 3"), (3, {"text": "fine"})]


def test_an_endless_line_is_one_bad_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line beyond the limit is passed over in pieces, and the next one is read."""
    monkeypatch.setattr("sentiment.rows.MAX_ROW_BYTES", 10)
    path = tmp_path / "texts.txt"
    path.write_bytes(b"x" * 9 + b"\n" + b"y" * 35 + b"\ngood\n" + b"z" * 10)
    assert rows(path) == [
        (1, {"text": "x" * 9}),
        (2, "longer than 10 bytes"),
        (3, {"text": "good"}),
        (4, "longer than 10 bytes"),
    ]


def test_csv_takes_the_wanted_columns(tmp_path: Path) -> None:
    """Quotes, commas and line ends inside a field are the field's; other columns stay out."""
    path = tmp_path / "reviews.csv"
    path.write_text('\ufeffid,stars,text\r\n7,5,"good, ""very""\nso"\r\n8,1,NA\r\n')
    assert rows(path) == [
        (1, {"id": "7", "text": 'good, "very"\nso'}),
        (2, {"id": "8", "text": "NA"}),
    ]


def test_csv_rows_of_wrong_length_are_bad_rows(tmp_path: Path) -> None:
    """Too few and too many fields are told by row; the rest of the file is read."""
    path = tmp_path / "reviews.csv"
    path.write_text("id,text\n1\n2,good\n3,bad,worse\n\n4,fine\n")
    assert rows(path) == [
        (1, "without some of the header's fields"),
        (2, {"id": "2", "text": "good"}),
        (3, "longer than the header"),
        (4, {"id": "4", "text": "fine"}),
    ]


def test_csv_that_is_none_says_where(tmp_path: Path) -> None:
    """A quote that is never closed would swallow the rest of the file: an error with its line."""
    path = tmp_path / "reviews.csv"
    path.write_text('text\ngood\n"never closed\nbad\n')
    with pytest.raises(InputError, match="after line 2: unexpected end"):
        rows(path)


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.parquet"])
def test_missing_column_lists_those_there_are(name: str, tmp_path: Path) -> None:
    """The error names the column, the columns that there are, and the options."""
    path = tmp_path / name
    if name.endswith("csv"):
        path.write_text("review,stars\ngood,5\n")
    else:
        parquet.write_table(pa.table({"review": ["good"], "stars": [5]}), path)
    with pytest.raises(InputError, match=r"'text'.*'review', 'stars'") as caught:
        rows(path)
    assert "--text-column" in caught.value.hint


def test_json_lines_keep_every_field_as_it_is(tmp_path: Path) -> None:
    """Objects pass through with each value's own spelling; empty lines are no rows."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"text":"good","n":1.50,"big":%s}\n\n[1]\nnope\n' % (b"9" * 40))
    first, *bad = rows(path)
    assert isinstance(first[1], dict)
    assert {name: bytes(value) for name, value in first[1].items()} == {
        "text": b'"good"',
        "n": b"1.50",
        "big": b"9" * 40,
    }
    assert bad == [(3, "not a JSON object"), (4, "not a JSON object")]
    assert msgspec.json.encode(first[1]).count(b"1.50") == 1


def test_parquet_is_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of all batches come, numbered through, and the share read grows to the whole."""
    monkeypatch.setattr(sources, "PARQUET_BATCH", 3)
    path = tmp_path / "reviews.parquet"
    table = {"text": [f"text {n}" for n in range(8)], "id": list(range(8)), "rest": [0.0] * 8}
    parquet.write_table(pa.table(table), path)
    with closing(Source(str(path), "auto")) as source:
        found, shares = [], []
        for row in source.rows({"text"}, {"id"}):
            found.append(row)
            shares.append(source.share_read())
    assert found == [(n + 1, {"id": n, "text": f"text {n}"}) for n in range(8)]
    assert shares == [(n + 1) / 8 for n in range(8)]


def test_share_of_a_text_file(tmp_path: Path) -> None:
    """How far a file has been read goes by its bytes, and ends at the whole."""
    path = tmp_path / "texts.txt"
    path.write_text("good\n" * 100)
    with closing(Source(str(path), "auto")) as source:
        assert source.share_read() == 0
        list(source.rows({"text"}, set()))
        assert source.share_read() == 1


def test_standard_input_has_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` is standard input: lines unless another format is said, and its size isn't known."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"good\nbad\n")))
    source = Source("-", "auto")
    assert source.format == "lines"
    assert source.share_read() is None
    assert [row for _, row in source.rows({"text"}, set())] == [{"text": "good"}, {"text": "bad"}]


@pytest.mark.parametrize(
    ("name", "form", "message"),
    [
        ("absent.csv", "auto", "No such file"),
        (".", "lines", "directory"),
        ("reviews.xlsx", "auto", "format"),
        ("-", "parquet", "standard input"),
        ("broken.parquet", "auto", "Parquet"),
    ],
)
def test_unusable_files_are_errors(
    name: str, form: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can't be read says what it is and why."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 is not enough")
    with pytest.raises(InputError, match=message):
        rows(Path(name), form)
