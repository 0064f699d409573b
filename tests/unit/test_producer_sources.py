import io
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from producer.command import Source
from sentiment.errors import InputError
from sentiment.rows import Row


def rows(path: Path, form: Any = "auto", *columns: str) -> list[tuple[int, Row]]:  # noqa: ANN401 - also wrong ones
    """Everything in a file."""
    with closing(Source(str(path), form)) as source:
        return list(source.rows(set(columns or ["text"]), {"id"}))


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
        ("broken.parquet", "auto", "parquet"),
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
