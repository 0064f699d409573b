"""Claims about files that are made to fill the memory of whoever reads them."""

import gzip
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from sentiment.errors import InputError
from trainer import ingest as stage
from trainer.params import Columns, Ingest, Source
from trainer.readers import MAX_ROW, Cells, Fault, format_of, rows

# What reading may take beyond what the modules take: a few rows of the longest kind.
MOST_MIB = 200

# Address space is bounded so that a reader without bounds ends before the machine does.
READ = """
import re, resource, sys
from collections import Counter
from pathlib import Path
from sentiment.errors import InputError
from trainer.params import Columns
from trainer import readers
from trainer.readers import Fault

# The peak since the start of this program: `getrusage` has that of whoever started it, too.
peak = lambda: re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
used = lambda: int(peak()) // 1024
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
path, before, seen = Path(sys.argv[1]), used(), Counter()
try:
    form = readers.format_of(path.name, "auto")
    for _, row in readers.rows(path, form, Columns(), path.name):
        seen[row.reason if isinstance(row, Fault) else "row"] += 1
except InputError as error:
    seen["refused"] += 1
    print(error.message, error.hint, file=sys.stderr)
print(used() - before, dict(seen))
"""


def in_a_process(path: Path) -> tuple[int, str, str]:
    """Read a file in a process of its own: MiB that this took, what came of it, and errors."""
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    taken, _, seen = done.stdout.partition(" ")
    return int(taken), seen.strip(), done.stderr


def zipped(path: Path, start: bytes, part: bytes, parts: int) -> None:
    """A gzip file of something and of many of the same parts."""
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(start)
        for _ in range(parts):
            file.write(part)


MEGABYTE = 2**20


@pytest.mark.parametrize(
    ("name", "start", "part"),
    [
        ("line.csv.gz", b"text,label\n", b"x" * MEGABYTE),
        ("quote.csv.gz", b'text,label\n"', (b"x" * 999 + b"\n") * 1000),
        ("fields.csv.gz", b'text,label\n"', (b"x" * 999 + b'\ny","') * 1000),
        ("header.csv.gz", b"text,label,", b"a," * (MEGABYTE // 2)),
        ("line.jsonl.gz", b'{"text":"', b"x" * MEGABYTE),
        ("deep.jsonl.gz", b"", b"[" * MEGABYTE),
        ("lists.jsonl.gz", b"[", b"[],{}," * (MEGABYTE // 6)),
        ("rows.jsonl.gz", b"", b'{"text":"a","label":1}\n' * (MEGABYTE // 23)),
    ],
)
def test_a_small_gzip_file_does_not_fill_the_memory(
    tmp_path: Path, name: str, start: bytes, part: bytes
) -> None:
    """Of 300 MB that were 300 kB no more is unpacked than texts can have, and the error says so."""
    path = tmp_path / name
    zipped(path, start, part, 300)
    taken, seen, error = in_a_process(path)
    assert taken < MOST_MIB, seen
    assert "'refused': 1" in seen or name.startswith("header")
    assert name in error
    if not name.startswith("header"):
        assert "bytes" in error
        assert "gunzip" in error


@pytest.mark.parametrize("name", ["long.csv", "long.jsonl", "open.csv", "keys.jsonl"])
def test_a_long_row_costs_that_row(tmp_path: Path, name: str) -> None:
    """Without compression too, a row beyond the bound is passed over, and the next one is read."""
    path = tmp_path / name
    with path.open("wb") as file:
        if name.endswith("csv"):
            file.write(b'text,label\ngood,1\n"' if name == "open.csv" else b"text,label\ngood,1\n")
            for _ in range(300):
                file.write(b"x" * MEGABYTE)
            file.write(b"\ngood,1\n")
        else:
            file.write(b'{"text":"good","label":1}\n')
            for number in range(300):
                key = b'{"%d%s":1,"text":"a"}\n' % (number, b"k" * (MEGABYTE // 2))
                file.write(key if name == "keys.jsonl" else b"x" * MEGABYTE)
            file.write(b'\n{"text":"good","label":1}\n')
    taken, seen, _ = in_a_process(path)
    assert taken < MOST_MIB, seen
    long = "{'row': 302}" if name == "keys.jsonl" else "{'row': 2, 'too_long': 1}"
    assert seen == long


def read(path: Path) -> list[Cells | Fault]:
    """All rows of a file."""
    form = format_of(path.name, "auto")
    assert form is not None
    return [row for _, row in rows(path, form, Columns(), path.name)]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_the_longest_row_is_read(tmp_path: Path, name: str) -> None:
    """The bound itself is a row, one character more is none, with and without a line's end."""
    for end in ("\n", ""):
        for more in (0, 1):
            before, after = ("", ",1") if name == "a.csv" else ('{"text":"', '","label":1}')
            # A row of CSV may go on after a line's end, which is part of it therefore.
            counted = before + after + (end if name == "a.csv" else "")
            text = "x" * (MAX_ROW - len(counted) + more)
            header = "text,label\n" if name == "a.csv" else ""
            (tmp_path / name).write_text(f"{header}{before}{text}{after}{end}")
            [row] = read(tmp_path / name)
            assert isinstance(row, Fault) == bool(more)
            assert not isinstance(row, Fault) or row.reason == "too_long"


def test_an_archive_that_unpacks_to_more_than_reviews_is_refused(tmp_path: Path) -> None:
    """What is passed over counts too: here a member of nothing but NUL."""
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as made, Path("/dev/zero").open("rb") as zeros:
        member = tarfile.TarInfo("aclImdb/other")
        member.size = 60 * MEGABYTE
        made.addfile(member, zeros)
    with pytest.raises(InputError, match=r"a\.tar\.gz unpacks to more than"):
        list(rows(path, "aclimdb", Columns(), path.name))


def test_a_table_of_one_text_does_not_fill_the_memory(tmp_path: Path) -> None:
    """A Parquet file's rows are decoded few at a time, also of a text that is there once."""
    texts = pa.array(["x" * 1000] * 400_000).dictionary_encode()
    table = pa.table({"text": texts, "label": pa.array([1] * 400_000)})
    parquet.write_table(table, tmp_path / "a.parquet", compression="zstd")
    taken, seen, _ = in_a_process(tmp_path / "a.parquet")
    assert taken < MOST_MIB, seen
    assert seen == "{'row': 400000}"


def test_more_rows_than_a_stage_can_keep_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the source and the bound; rows of all sources count, bad ones too."""
    monkeypatch.setattr(stage, "MAX_ROWS", 5)
    (tmp_path / "a.csv").write_text("text,label\n" + "good,1\nbad,0\nbad,7\n")
    sources = [
        Source(name=name, uri="a.csv", labels={"0": 0, "1": 1, "7": 0}) for name in ("one", "two")
    ]
    with pytest.raises(InputError, match=r"Source 'two': .* more than 5 rows"):
        stage.ingest(Ingest(sources=sources), tmp_path, tmp_path / "raw")


def test_texts_that_compress_well_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has fifty times its size is read: no text of people is so uniform."""
    monkeypatch.setattr("sentiment.rows.ALWAYS_UNPACKED", 0)
    words = [f"{number:x} a good film that I would see again and again" for number in range(20_000)]
    lines = "".join(f"{word},1\n" for word in words)
    zipped(tmp_path / "a.csv.gz", b"text,label\n", lines.encode(), 1)
    assert len(read(tmp_path / "a.csv.gz")) == len(words)
