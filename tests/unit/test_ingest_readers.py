"""Claims about rows of files: what is read, what is refused and why."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from sentiment.errors import InputError
from sentiment.rows import EXCERPT_CHARS
from trainer.params import Columns, Source
from trainer.readers import Cells, Example, Fault, example, format_of, label_table, rows

LABELS = {"0": 0, "1": 1, "negative": 0, "positive": 1}


def read(path: Path, columns: Columns | None = None) -> list[tuple[int, Cells | Fault]]:
    """All rows of a file, by the format of its name."""
    form = format_of(path.name, "auto")
    assert form is not None
    return list(rows(path, form, columns or Columns(), path.name))


def judged(path: Path) -> list[str | tuple[str, int]]:
    """Of each row its text and label, or why it has none."""
    found = [row if isinstance(row, Fault) else example(row, LABELS) for _, row in read(path)]
    return [row.reason if isinstance(row, Fault) else (row.text, row.label) for row in found]


def write(path: Path, content: str | bytes) -> Path:
    """A file with that content."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_each_format_gives_the_same_rows(tmp_path: Path) -> None:
    """CSV, JSON Lines and Parquet, also compressed, are read alike, whatever the column order."""
    frame = pd.DataFrame({"label": [1, 0], "film": ["a", "b"], "text": ['So "good",\nyes', "Bäd"]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.csv.gz", index=False)
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    frame.to_json(tmp_path / "a.ndjson.gz", orient="records", lines=True)
    frame.to_parquet(tmp_path / "a.parquet")
    for path in sorted(tmp_path.iterdir()):
        found = [
            (number, row.text, str(row.label), row.group)
            for number, row in read(path, Columns(group="film"))
            if isinstance(row, Cells)
        ]
        assert found == [(1, 'So "good",\nyes', "1", "a"), (2, "Bäd", "0", "b")], path.name


def test_bad_rows_of_json_lines(tmp_path: Path) -> None:
    """Each sort of bad line has its own reason, and costs none of its neighbours."""
    lines: list[str | bytes] = [
        '\ufeff{"text": "first", "label": 1}',
        '{"text": "no label"}',
        '{"text": "null label", "label": null}',
        '{"text": "neutral", "label": 2}',
        '{"text": " \\t\\n", "label": 1}',
        '{"text": 5, "label": 1}',
        '{"text": null, "label": 1}',
        '{"text": ["a"], "label": 1}',
        '{"text": "half \\ud83d of a pair", "label": 1}',
        b'{"text": "\xff", "label": 1}',
        '{"text": "cut off',
        '["text", 1]',
        "[" * 100_000,
        '{"text": "NaN", "label": NaN}',
        "",
        '{"text": "\\ud83d\\ude00 last", "label": "Positive "}',
    ]
    path = write(
        tmp_path / "a.jsonl",
        b"\n".join(line.encode() if isinstance(line, str) else line for line in lines),
    )
    assert judged(path) == [
        ("first", 1),
        "no_label",
        "no_label",
        "unknown_label",
        "empty_text",
        "not_text",
        "not_text",
        "not_text",
        "malformed",
        "not_utf8",
        "malformed",
        "malformed",
        "malformed",
        "malformed",
        ("😀 last", 1),
    ]
    # Lines are counted as an editor counts them, the empty one too.
    assert [number for number, _ in read(path)][-2:] == [14, 16]


def test_bad_rows_of_csv(tmp_path: Path) -> None:
    """Ragged rows, wrong quotes and bytes that are no UTF-8 each cost one row and have a reason."""
    path = write(
        tmp_path / "a.csv",
        b"\xef\xbb\xbftext,label\r\n"
        b"good,1\r\n"
        b"too,many,1\r\n"
        b"few\r\n"
        b'"a "quote" inside",1\r\n'
        b"caf\xe9,1\r\n"
        b"\r\n"
        b",1\r\n"
        b"none,\r\n"
        b"5,1.0\r\n"
        b"bad,0",
    )
    assert judged(path) == [
        ("good", 1),
        "ragged",
        "ragged",
        "malformed",
        "not_utf8",
        "empty_text",
        "no_label",
        ("5", 1),
        ("bad", 0),
    ]


def test_a_csv_quote_that_is_never_closed_loses_no_row_silently(tmp_path: Path) -> None:
    """What it swallows is counted line by line, not as one row."""
    path = write(tmp_path / "a.csv", 'text,label\ngood,1\n"open,1\nlost,0\nlost too,1\n')
    assert judged(path) == [("good", 1), "malformed", "malformed", "malformed"]
    assert [row.excerpt for _, row in read(path) if isinstance(row, Fault)] == [
        '"open,1\n',
        "lost,0\n",
        "lost too,1\n",
    ]


def test_bad_rows_of_parquet(tmp_path: Path) -> None:
    """Nulls and strings that are no UTF-8 cost one row each, of plain and dictionary columns."""
    texts = pa.array([b"good", b"\xff\xfe", None, b"bad"]).cast(pa.string(), safe=False)
    for name, column in (("plain", texts), ("coded", texts.dictionary_encode())):
        path = tmp_path / f"{name}.parquet"
        labels = pa.array([1.0, 1.0, 0.0, 0.0])
        parquet.write_table(pa.table({"text": column, "label": labels}), path)
        assert judged(path) == [("good", 1), "not_utf8", "not_text", ("bad", 0)], name


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (1, 1), (0, 0), (1.0, 1), (True, 1), (False, 0), ("1", 1), (" 1.0 ", 1), ("TRUE", 1),
        ("Positive", 1), ("NEGATIVE\n", 0),
        (2, "unknown_label"), (0.5, "unknown_label"), ("pos", "unknown_label"),
        (-1, "unknown_label"), ([1], "unknown_label"),
        (None, "no_label"), (float("nan"), "no_label"), ("", "no_label"), ("  ", "no_label"),
    ],
)  # fmt: skip
def test_labels_as_files_write_them(value: object, label: int | str) -> None:
    """A label means the same as a number, a fraction, a boolean or a word in any case."""
    found = example(Cells("text", value), LABELS)
    assert (found.reason if isinstance(found, Fault) else found.label) == label


def test_label_mapping_is_the_sources_own() -> None:
    """Keys are compared without case, white space and `.0`; `true` may mean something itself."""
    table = label_table(
        Source(name="a", uri="a", labels={" Happy ": 1, "SAD": 0, "4.0": 1, "true": 0})
    )
    meanings = [example(Cells("text", value), table) for value in ("happy", "Sad", 4, True)]
    assert [found.label for found in meanings if isinstance(found, Example)] == [1, 0, 1, 0]


def test_a_label_with_two_meanings_is_refused() -> None:
    """A mapping whose keys fall together names the key."""
    with pytest.raises(InputError, match="'POS' two meanings"):
        label_table(Source(name="a", uri="a", labels={"pos": 1, "POS": 0}))


def test_groups_and_domains_are_names(tmp_path: Path) -> None:
    """A number stays whole where pandas made a fraction of it; what is missing is None."""
    frame = pd.DataFrame({"text": ["a", "b"], "label": 1, "film": [7, None], "kind": ["x", " "]})
    frame.to_parquet(tmp_path / "a.parquet")
    found = [
        example(row, LABELS)
        for _, row in read(tmp_path / "a.parquet", Columns(group="film", domain="kind"))
        if isinstance(row, Cells)
    ]
    assert [(row.group, row.domain) for row in found if isinstance(row, Example)] == [
        ("7", "x"),
        (None, None),
    ]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path, suffix: str) -> None:
    """The error says what is missing and what could be meant."""
    path = tmp_path / f"a.{suffix}"
    frame = pd.DataFrame({"review": ["a"], "label": [1]})
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    with pytest.raises(
        InputError, match="has no column 'text' and no column 'film'; it has 'review', 'label'"
    ):
        read(path, Columns(group="film"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b"PAR1 no"),
        ("a.parquet", b""),
        ("a.csv", b""),
        ("a.csv", b'"text,label\n'),
        ("a.csv.gz", gzip.compress(b"text,label\na,1\n" * 1000, mtime=0)[:-20]),
        ("a.jsonl.gz", b"\x1f\x8bno gzip at all"),
    ],
)
def test_a_file_that_is_something_else_is_refused(
    tmp_path: Path, name: str, content: bytes
) -> None:
    """Damaged and empty files end in one sentence that names the file."""
    with pytest.raises(InputError, match=name):
        read(write(tmp_path / name, content))


@pytest.mark.parametrize("text", ["x" * 10**6, 10**4000, ["x" * 10**6] * 100, {"a": "x" * 10**6}])
def test_excerpts_are_short_and_can_be_written(text: object) -> None:
    """Whatever was there, little of it is repeated, and all of it is UTF-8."""
    found = example(Cells(text, "\ud800" * 10**6), LABELS)
    assert isinstance(found, Fault)
    assert len(found.excerpt) < 10 * EXCERPT_CHARS
    assert json.loads(json.dumps(found.excerpt).encode()) == found.excerpt.encode().decode()


def test_excerpts_of_lines_are_short(tmp_path: Path) -> None:
    """A megabyte without a line end, and bytes that are no text, make a short excerpt."""
    path = write(tmp_path / "a.jsonl", b"x" * 10**6 + b"\n" + b"\xff" * 10**6)
    for _, row in read(path):
        assert isinstance(row, Fault)
        assert len(row.excerpt.encode()) < 2 * EXCERPT_CHARS
