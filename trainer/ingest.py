"""The first stage: labelled texts from where they are to one table in `data/raw/`.

Three files come of it, whole or not at all:

- `texts.parquet`: the usable rows, with the columns of `trainer.tables`;
- `rejected.jsonl`: each unusable row with its source, file, number, reason (they are listed in
  `trainer.sources.examples`) and a short excerpt;
- `report.json`: what was read, with checksums, and what became of it.

A `group` is `source:value`, or `source#number` where the row has none. A domain is the row's, else
the source's, else the source's name. Of an aclImdb archive the official test part stays `test`.
Remote files are kept in `cache/` beside the output.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import pandas as pd
from msgspec import Struct

from sentiment.errors import InputError
from trainer import report as reports, tables
from trainer.layout import RAW, REPORT, TEXTS
from trainer.params import Ingest, Source
from trainer.progress import Say, silent, ticking
from trainer.sources import aclimdb, readers
from trainer.sources.examples import Example, Fault, Reason, example, label_table
from trainer.sources.inputs import Input, inputs

REJECTED = "rejected.jsonl"
# Rows of all sources, usable or not. All usable ones are in memory at once, at 200 bytes each and
# the text: these are a gigabyte. The 3.6 million reviews of the largest known set are within it.
MAX_ROWS = 5_000_000
# Beside the output: remote files.
CACHE = "cache"


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


def ingest(params: Ingest, root: Path, output: Path = RAW, say: Say = silent) -> IngestReport:
    """Read all sources and write the table.

    Args:
        params: The sources.
        root: What relative files and folders are below.
        output: The folder to write; what is there stays until all is done.
        say: Told of progress.

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
        with tables.files(output, REJECTED, TEXTS, REPORT) as work:
            stage = _Stage(params, root, output, say)
            with (work / REJECTED).open("wb") as rejected:
                found = [stage.read(source, rejected) for source in params.sources]
            say(f"Writing {len(stage.columns['text']):,} texts to {output}")
            tables.write(pd.DataFrame(stage.columns).astype({"label": "int8"}), work / TEXTS)
            report = _total(found)
            reports.write(report, work / REPORT)
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
        """Take in a source's usable rows and write down the others.

        Raises:
            InputError: See `ingest`.
        """
        cache = self._output.parent / CACHE
        files = inputs(source, self._params.s3, self._root, cache, self._say)
        total, reasons = 0, Counter[Reason]()
        first: dict[Reason, RejectedRow] = {}
        for file in files:
            for row, found in self._examples(source, file):
                total += 1
                self._count(source, file)
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
        labels = aclimdb.LABELS if file.format == "aclimdb" else label_table(source)
        where = f"Source {source.name!r}: {file.name}"
        rows = readers.rows(file.path, file.format, source.columns, where)
        for number, row in ticking(rows, self._say, f"rows of {file.name}"):
            yield number, row if isinstance(row, Fault) else example(row, labels)

    def _count(self, source: Source, file: Input) -> None:
        self._rows += 1
        if self._rows > MAX_ROWS:
            raise InputError(
                f"Source {source.name!r}: with {file.name} the sources have more than"
                f" {MAX_ROWS:,} rows, and a stage keeps all of them in memory.",
                "Take a sample of the file: a linear model learns little from more.",
            )

    def _keep(self, source: Source, number: int, found: Example) -> None:
        group = f"{source.name}#{number}" if found.group is None else f"{source.name}:{found.group}"
        domain = found.domain or source.domain or source.name
        split = found.split if source.split == "auto" else source.split
        values: tuple[str | int, ...] = (
            found.text, found.label, domain, group, source.name, split
        )  # fmt: skip
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


def _total(sources: list[SourceReport]) -> IngestReport:
    rejected = Counter[Reason]()
    for source in sources:
        rejected.update(source.rejected)
    return IngestReport(
        sum(source.rows for source in sources),
        sum(source.kept for source in sources),
        dict(rejected),
        sources,
    )
