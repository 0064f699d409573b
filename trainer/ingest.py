"""The first stage: labelled texts from where they are to one table in `data/raw/`.

Three files come of it, whole or not at all:

- `texts.parquet`: the usable rows, with the columns of `trainer.tables`;
- `rejected.jsonl`: each unusable row with its source, file, number, reason (they are listed in
  `trainer.readers`) and a short excerpt;
- `report.json`: what was read, with checksums, and what became of it.

A `group` is `source:value`, or `source#number` where the row has none. A domain is the row's, else
the source's, else the source's name. Of an aclImdb archive the official test part stays `test`.
Remote files are kept in `cache/` beside the output.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import pandas as pd
from msgspec import Struct

from sentiment.errors import InputError
from sentiment.registry.artifact import sha256_of
from trainer import readers, remote, reports, tables
from trainer.params import S3, Ingest, Source
from trainer.readers import Example, Fault, Format, Reason
from trainer.reports import Say, silent, ticking

REJECTED = "rejected.jsonl"
# Rows of all sources, usable or not. All usable ones are in memory at once, at 200 bytes each and
# the text: these are a gigabyte. The 3.6 million reviews of the largest known set are within it.
MAX_ROWS = 5_000_000
# Beside the output: remote files.
CACHE = "cache"
# Of a remote file's name, what its copy here keeps; file systems take 255 bytes.
NAME_CHARS = 80


class Input(NamedTuple):
    """A file to read; reports call it `name`, on every machine the same."""

    name: str
    path: Path
    sha256: str
    format: Format


class InputReport(Struct, frozen=True):
    """A file that was read."""

    name: str
    bytes: int
    sha256: str


class SourceReport(Struct, frozen=True):
    """What became of a source's rows; `rejected` counts them by reason."""

    name: str
    rows: int
    kept: int
    rejected: dict[Reason, int]
    inputs: list[InputReport]


class IngestReport(Struct, frozen=True):
    """What became of all rows."""

    rows: int
    kept: int
    rejected: dict[Reason, int]
    sources: list[SourceReport]


class RejectedRow(Struct, frozen=True):
    """A line of `rejected.jsonl`."""

    source: str
    file: str
    row: int
    reason: Reason
    excerpt: str


def ingest(
    params: Ingest, root: Path, output: Path = tables.RAW, say: Say = silent
) -> IngestReport:
    """Read all sources, relative ones below `root`, and write the table.

    Raises:
        InputError: A source is missing, is not what it should be, or has too large a share of
            unusable rows, which then stand in `rejected.jsonl`.
        SentimentError: A source can't be fetched.
    """
    names = Counter(source.name for source in params.sources)
    if len(names) < len(params.sources):
        raise InputError(
            f"Two sources in params.yaml are called {names.most_common(1)[0][0]!r}.",
            "Groups are told apart by the names of their sources.",
        )
    try:
        with tables.files(output, REJECTED, tables.TEXTS, tables.REPORT) as work:
            stage = _Stage(params, root, output, say)
            with (work / REJECTED).open("wb") as rejected:
                found = [stage.read(source, rejected) for source in params.sources]
            say(f"Writing {len(stage.columns['text']):,} texts to {output}")
            tables.write(pd.DataFrame(stage.columns).astype({"label": "int8"}), work / tables.TEXTS)
            report = IngestReport(
                sum(source.rows for source in found),
                sum(source.kept for source in found),
                dict(sum((Counter(source.rejected) for source in found), Counter[Reason]())),
                found,
            )
            reports.write(report, work / tables.REPORT)
    except OSError as error:
        raise InputError(f"{output} can't be written: {error.strerror or error}.") from error
    return report


class _Stage:
    """The rows of all sources so far."""

    def __init__(self, params: Ingest, root: Path, output: Path, say: Say) -> None:
        self._params, self._root, self._output, self._say = params, root, output, say
        self.columns: dict[str, list[str | int]] = {name: [] for name in tables.COLUMNS}
        self._rows = 0

    def read(self, source: Source, rejected: BinaryIO) -> SourceReport:
        """Take in a source's usable rows and write down the others."""
        cache = self._output.parent / CACHE
        files = inputs(source, self._params.s3, self._root, cache, self._say)
        total, reasons = 0, Counter[Reason]()
        first: dict[Reason, RejectedRow] = {}
        for file in files:
            for row, found in self._examples(source, file):
                total += 1
                self._rows += 1
                if self._rows > MAX_ROWS:
                    raise InputError(
                        f"Source {source.name!r}: with {file.name} the sources have more than"
                        f" {MAX_ROWS:,} rows, and a stage keeps all of them in memory.",
                        "Take a sample of the file: a linear model learns little from more.",
                    )
                if isinstance(found, Example):
                    self._keep(source, total, found)
                    continue
                line = RejectedRow(source.name, file.name, row, found.reason, found.excerpt)
                rejected.write(msgspec.json.encode(line) + b"\n")
                reasons[found.reason] += 1
                first.setdefault(found.reason, line)
        if not total:
            raise InputError(f"Source {source.name!r} has no rows: {source.uri} is empty.")
        bad = reasons.total()
        if bad == total or bad > self._params.max_rejected_share * total:
            rejected.flush()
            Path(rejected.name).replace(self._output / REJECTED)
            raise self._too_many(source, total, reasons, first)
        self._say(f"{source.name}: {total - bad:,} of {total:,} rows are usable")
        made = [InputReport(file.name, file.path.stat().st_size, file.sha256) for file in files]
        return SourceReport(source.name, total, total - bad, dict(reasons), made)

    def _examples(self, source: Source, file: Input) -> Iterator[tuple[int, Example | Fault]]:
        self._say(f"{source.name}: reading {file.name}")
        labels = readers.ARCHIVE_LABELS if file.format == "aclimdb" else readers.label_table(source)
        where = f"Source {source.name!r}: {file.name}"
        rows = readers.rows(file.path, file.format, source.columns, where)
        for number, row in ticking(rows, self._say, f"rows of {file.name}"):
            yield number, row if isinstance(row, Fault) else readers.example(row, labels)

    def _keep(self, source: Source, number: int, found: Example) -> None:
        group = f"{source.name}#{number}" if found.group is None else f"{source.name}:{found.group}"
        domain = found.domain or source.domain or source.name
        split = found.split if source.split == "auto" else source.split
        values: tuple[str | int, ...] = (found.text, found.label, domain, group, source.name, split)
        for column, value in zip(self.columns.values(), values, strict=True):
            column.append(value)

    def _too_many(
        self,
        source: Source,
        total: int,
        reasons: Counter[Reason],
        first: dict[Reason, RejectedRow],
    ) -> InputError:
        reason, count = reasons.most_common(1)[0]
        row = first[reason]
        return InputError(
            f"Source {source.name!r}: {reasons.total():,} of its {total:,} rows"
            f" ({reasons.total() / total:.1%}) are unusable, and max_rejected_share in params.yaml"
            f" allows {self._params.max_rejected_share:.1%}. Most often it is {reason}"
            f" ({count:,}), first in {row.file}, row {row.row}: {row.excerpt}",
            f"All of them stand in {self._output / REJECTED}. Are `columns` and `labels` right?",
        )


# The files of a source: found in a folder, or fetched from S3 or the web.


def inputs(source: Source, s3: S3, root: Path, cache: Path, say: Say) -> list[Input]:
    """The files of a source, in the order of their names; remote ones are kept in the cache.

    Raises:
        InputError: There are none, or one is not what the source says.
        SentimentError: One can't be fetched.
    """
    if source.uri.startswith(remote.SCHEME):
        with remote.Store(s3) as store:
            return _from_s3(source, store, cache, say)
    if source.uri.startswith(("http://", "https://")):
        return _from_web(source, cache, say)
    return _from_disk(source, root, say)


def _from_disk(source: Source, root: Path, say: Say) -> list[Input]:
    uri = Path(source.uri)
    # An absolute one stays what it is; no report names the folders above it.
    path, title = root / uri, uri.name if uri.is_absolute() else uri.as_posix()
    files = {title: path}
    if path.is_dir():
        below = {found.relative_to(path).as_posix(): found for found in path.rglob("*")}
        files = {
            f"{title}/{name}": found
            for name, found in sorted(below.items())
            # Hidden ones are other programs' own.
            if found.is_file() and not re.search(r"(^|/)\.", name)
        }
    elif not path.is_file():
        raise InputError(
            f"Source {source.name!r}: there is no file or folder {path}.",
            "" if uri.is_absolute() else "Its `uri` is below --root (SENTIMENT_DATA).",
        )
    found = []
    for name, form in _chosen(source, list(files), say, many=path.is_dir()):
        try:
            sha256 = sha256_of(files[name])
        except OSError as error:
            raise InputError(f"{files[name]} can't be read: {error.strerror}.") from error
        remote.require(str(files[name]), sha256, source.sha256)
        found.append(Input(name, files[name], sha256, form))
    return found


def _from_s3(source: Source, store: remote.Store, cache: Path, say: Say) -> list[Input]:
    _, key = remote.parse(source.uri)
    many = not key or key.endswith("/")
    names = store.names(source.uri) if many else [source.uri]
    # The same address in another S3 is another object.
    owner = store.params.endpoint or ""
    found = []
    for name, form in _chosen(source, names, say, many=many):
        target = _target(cache, f"{owner} {name}", name)
        sha256 = remote.fetch(name, partial(store.read, name), target, source.sha256, say)
        found.append(Input(name, target, sha256, form))
    return found


def _from_web(source: Source, cache: Path, say: Say) -> list[Input]:
    name = remote.shown(source.uri)
    if source.sha256 is None:
        raise InputError(
            f"Source {source.name!r}: {name} needs a `sha256` in params.yaml.",
            "What an address answers may change; `sha256sum` gives that of a file you trust.",
        )
    ((_, form),) = _chosen(source, [name], say, many=False)
    target = _target(cache, source.uri, name)
    sha256 = remote.fetch(name, partial(remote.read_web, source.uri), target, source.sha256, say)
    return [Input(name, target, sha256, form)]


def _chosen(source: Source, names: list[str], say: Say, *, many: bool) -> list[tuple[str, Format]]:
    """Those that can be read: of many the ones whose names say so."""
    if not many and source.format != "auto":
        return [(name, source.format) for name in names]
    forms = ((name, readers.format_of(name, source.format)) for name in names)
    found = [(name, form) for name, form in forms if form]
    uri = remote.shown(source.uri) if "://" in source.uri else source.uri
    if not found:
        ends = ", ".join(readers.SUFFIXES)
        raise InputError(
            f"Source {source.name!r}: {uri} has no "
            + (f"file that can be read, out of {len(names):,}." if many else "known format."),
            f"Names end in {ends}, with or without .gz; `format` in params.yaml says it of a single"
            " file, and `aclimdb` always has to be said.",
        )
    others = sorted(set(names) - {name for name, _ in found})
    if others:
        say(f"{source.name}: leaving out {len(others):,} of {len(names):,} files, as {others[0]}")
    if source.sha256 and len(found) > 1:
        raise InputError(
            f"Source {source.name!r}: one `sha256` can't be that of the {len(found)} files in"
            f" {uri}.",
            "Leave it out, or name a single file.",
        )
    return found


def _target(cache: Path, identity: str, name: str) -> Path:
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return cache / f"{key}-{re.sub(r'[^A-Za-z0-9._-]', '_', name.rpartition('/')[2])[-NAME_CHARS:]}"
