"""Labelled texts of files, or why a row is none.

The files are those that `sentiment.rows` reads, and the Large Movie Review Dataset's archive.

| reason | what is wrong with the row |
|---|---|
| `malformed` | it is no JSON object, or its quotes are no CSV |
| `ragged` | it has more or fewer fields than the CSV header |
| `not_utf8` | bytes that are no UTF-8, or half of a surrogate pair |
| `not_text` | where the text should be is nothing, a number or a list |
| `empty_text` | the text is empty or white space |
| `no_label` | it has no label |
| `unknown_label` | its label is none of the source's `labels` |
| `too_long` | far longer than any text of its kind |
"""

import math
import re
import reprlib
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, cast

import msgspec
from msgspec import Raw

from sentiment import rows as tables
from sentiment.errors import InputError
from sentiment.rows import EXCERPT_CHARS, excerpt
from trainer.params import Columns, Source

Format = Literal["csv", "tsv", "json", "jsonl", "parquet", "aclimdb"]
Reason = Literal[
    "malformed",
    "ragged",
    "not_utf8",
    "not_text",
    "empty_text",
    "no_label",
    "unknown_label",
    "too_long",
]
Split = Literal["auto", "train", "test"]

ARCHIVES = (".tar.gz", ".tgz", ".tar")
SUFFIXES = (*(end for end, form in tables.SUFFIXES.items() if form != "lines"), *ARCHIVES)
# Most characters of a row: sixty times the longest review, and the bound of the archive's. As JSON
# of nothing but empty lists it takes 100 MB of memory.
MAX_ROW = 1024 * 1024
# Names of columns that are kept of JSON, where each line may have others.
MAX_COLUMNS = 1000
HINT = "Name the right ones in params.yaml, under `columns` of the source."

_WHOLE_NUMBER = re.compile(r"([+-]?\d+)\.0*")
_BOOLEANS = {"true": "1", "false": "0"}
_short = reprlib.Repr()
_short.maxstring = _short.maxother = EXCERPT_CHARS


class Cells(NamedTuple):
    """What a reader found in one row; `None` where there is nothing."""

    text: object
    label: object
    group: object = None
    domain: object = None
    # Where the source itself has a split.
    split: Split = "auto"


class Fault(NamedTuple):
    """Why a row is unusable, and a short excerpt of it."""

    reason: Reason
    excerpt: str


class Example(NamedTuple):
    """A labelled text; `group` and `domain` are None where the row has none."""

    text: str
    label: int
    group: str | None
    domain: str | None
    split: Split


def format_of(name: str, asked: Format | Literal["auto"]) -> Format | None:
    """The format of a file by the end of its name; None: not one of these.

    `asked`: only this one; `auto`: any but the archive, which has to be asked for.
    """
    if asked == "aclimdb":
        return asked if name.lower().endswith(ARCHIVES) else None
    found = tables.format_of(name)
    if found is None or found == "lines" or asked not in {"auto", found}:
        return None
    return found


def rows(
    path: Path, form: Format, columns: Columns, where: str
) -> Iterator[tuple[int, Cells | Fault]]:
    """The rows of a file with their numbers: the line in JSON Lines, else the row; from 1.

    The file may be compressed by gzip; an archive has its own columns. `where` names it in errors.

    Raises:
        InputError: The file is not what its format says, or lacks a column.
    """
    wanted = (columns.text, columns.label, columns.group, columns.domain)
    with tables.readable(where, form), path.open("rb") as file:
        stream = tables.opened(file, where, path.stat().st_size)
        if form == "aclimdb":
            yield from enumerate(archived(stream), 1)
            return
        names = [name for name in dict.fromkeys(wanted) if name is not None]
        choose = tables.columns(names, (), where, HINT)
        # Of JSON, each row may have other members: a column that none has is reported at the end.
        seen: dict[str, None] | None = {} if form in {"json", "jsonl"} else None
        for number, row in tables.rows(stream, form, choose, where, MAX_ROW):
            if isinstance(row, tables.Fault):
                yield number, Fault(row.reason, row.excerpt)
                continue
            if seen is not None:
                # In their order, which a set doesn't keep.
                room = len(seen) < MAX_COLUMNS
                seen.update(
                    (n if n in names else excerpt(n), None) for n in row if room or n in names
                )
            try:
                found = (name and row.get(name) for name in wanted)
                text, label, group, domain = (
                    msgspec.json.decode(v) if isinstance(v, Raw) else v for v in found
                )
                yield number, Cells(text, label, group, domain)
            except (msgspec.DecodeError, RecursionError):
                yield number, Fault("malformed", excerpt(repr(row)))
        if seen:
            tables.require(names, list(seen), where, HINT)


# From a row to a labelled text.


def label_table(source: Source) -> dict[str, int]:
    """The source's labels as they are looked up.

    Raises:
        InputError: Two of them are the same but for case, white space or `.0`, and differ in
            meaning.
    """
    table: dict[str, int] = {}
    for written, meaning in source.labels.items():
        if table.setdefault(_key(written), meaning) != meaning:
            raise InputError(f"Source {source.name!r}: its labels give {written!r} two meanings.")
    return table


def example(cells: Cells, labels: Mapping[str, int]) -> Example | Fault:
    """Check one row, given the labels of `label_table`."""
    if not isinstance(cells.text, str):
        return _fault("not_text", cells)
    if not cells.text.strip():
        return _fault("empty_text", cells)
    label = _key(cells.label)
    if not label:
        return _fault("no_label", cells)
    meaning = labels.get(label, labels.get(_BOOLEANS.get(label, "")))
    if meaning is None:
        return _fault("unknown_label", cells)
    group, domain = _name(cells.group), _name(cells.domain)
    try:
        "".join((cells.text, group or "", domain or "")).encode()
    except UnicodeEncodeError:
        return _fault("not_utf8", cells)
    return Example(cells.text, meaning, group, domain, cells.split)


def _fault(reason: Reason, cells: Cells) -> Fault:
    return Fault(reason, f"label={_short.repr(cells.label)} text={_short.repr(cells.text)}")


def _key(value: object) -> str:
    """A label as it is compared: `1`, `1.0`, "1" and " 1.0 " are the same; empty: none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = str(value).strip().casefold()
    whole = _WHOLE_NUMBER.fullmatch(text)
    return whole[1] if whole else text


def _name(value: object) -> str | None:
    """A group or domain; numbers that a missing value elsewhere made fractions are whole again."""
    if isinstance(value, float):
        if math.isnan(value):
            return None
        value = int(value) if value.is_integer() else value
    return None if value is None else str(value).strip() or None


# The Large Movie Review Dataset as its authors publish it, read straight from the archive.
#
# `aclImdb/{train,test}/{pos,neg}/<id>_<rating>.txt` are the reviews, and line `id` of
# `aclImdb/{train,test}/urls_{pos,neg}.txt`, counted from 0, is the page of the film. Nothing in the
# archive is ever written to a disk, so no member's name can lead anywhere. Whatever else is in it
# is passed over, the unlabelled reviews among it.
#
# Source: Maas et al. 2011, "Learning Word Vectors for Sentiment Analysis",
# https://ai.stanford.edu/~amaas/data/sentiment/


# The longest review has 14 kB, the longest list of addresses 600 kB.
MAX_MEMBER_BYTES = 1024 * 1024
# What the archive's labels mean.
ARCHIVE_LABELS = {"neg": 0, "pos": 1}

_REVIEW = re.compile(r"aclImdb/(train|test)/(pos|neg)/([0-9]{1,9})_[0-9]{1,2}\.txt")
_ADDRESSES = re.compile(r"aclImdb/(train|test)/urls_(pos|neg)\.txt")
_FILM = re.compile(r"/title/(tt[0-9]+)")


class _Bounded:
    """An archive of which nobody gets more at a time than a member may have.

    `tarfile` reads a member's long name whole, however long the archive says that it is.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek = stream.seek
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        if size > MAX_MEMBER_BYTES:
            raise tarfile.ReadError(f"a part of it claims to have {size:,} bytes")
        return self._stream.read(size)


def archived(stream: BinaryIO) -> Iterator[Cells | Fault]:
    """The labelled reviews in the order of their part, label and id, however they were packed.

    The group is IMDb's id of the film, where there is one. The split of the official test part is
    `test`, that of the train part `auto`. The stream is the archive, uncompressed.

    Raises:
        OSError: It is none, or damaged.
    """
    reviews: list[tuple[tuple[str, str, int], str | Fault]] = []
    films: dict[tuple[str, str], list[str]] = {}
    bounded = cast("BinaryIO", _Bounded(stream))
    try:
        with tarfile.open(fileobj=bounded, mode="r:") as archive:
            for member in archive:
                # Folders, links and devices are no reviews, whatever their names.
                if not member.isreg():
                    continue
                if found := _REVIEW.fullmatch(member.name):
                    key = (found[1], found[2], int(found[3]))
                    reviews.append((key, _review(archive, member)))
                elif found := _ADDRESSES.fullmatch(member.name):
                    lines = _content(archive, member).decode("ascii", "replace").splitlines()
                    films[found[1], found[2]] = lines
            # `tarfile` takes a damaged head for the end; the true end is a block of NUL.
            stream.seek(archive.offset)
            block = stream.read(tarfile.BLOCKSIZE)
            if len(block) < tarfile.BLOCKSIZE or any(block):
                raise tarfile.ReadError("it is cut off or damaged in the middle")
    except tarfile.TarError as error:
        raise OSError(str(error)) from error
    for (part, label, number), text in sorted(reviews, key=lambda review: review[0]):
        if isinstance(text, Fault):
            yield text
            continue
        addresses = films.get((part, label), [])
        film = _FILM.search(addresses[number]) if number < len(addresses) else None
        yield Cells(
            text, label, film[1] if film else None, split="test" if part == "test" else "auto"
        )


def _review(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str | Fault:
    if member.size > MAX_MEMBER_BYTES:
        return Fault("too_long", f"{member.name}: {member.size:,} bytes")
    content = _content(archive, member)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return Fault("not_utf8", f"{member.name}: {excerpt(content)}")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > MAX_MEMBER_BYTES:
        raise tarfile.ReadError(f"{member.name} has {member.size:,} bytes, which none of its has")
    file = archive.extractfile(member)
    # None only for what is no regular file.
    return file.read() if file else b""
