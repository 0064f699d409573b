"""`sentiment classify`: texts in, JSON Lines out, without Kafka."""

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import click
from msgspec import Raw, Struct

from sentiment import rows, wire
from sentiment.cli import Progress
from sentiment.errors import InputError
from sentiment.rows import Format, Numbered
from sentiment.settings import WorkerSettings
from sentiment.wire import EventError, Model, Sentiment, TextEvent

if TYPE_CHECKING:
    from sentiment.classify.decode import Explain
    from sentiment.registry.registry import LoadedModel


# A broken file has very many broken lines; the first few show what is wrong.
MAX_REPORTED = 10


class Row(Struct, omit_defaults=True):
    """What is written for a line or row that was classified."""

    line: int
    sentiment: Sentiment
    score: float
    confidence: float
    model: Model
    id: str | None = None
    source: str | None = None
    file: str | None = None
    explanation: Raw | None = None


class BadRow(Struct, omit_defaults=True):
    """What is written for one that was not."""

    line: int
    error: str
    message: str
    file: str | None = None


class Run:
    """Classifies rows and counts them."""

    def __init__(self, model: "LoadedModel", *, skip_bad: bool, explain: "Explain") -> None:
        self._model = model
        self._skip_bad = skip_bad
        self._explain = explain
        # Results on the same terminal are progress enough.
        shown = sys.stderr.isatty() and not sys.stdout.isatty()
        self._progress = Progress(what="rows") if shown else None
        self.good = self.bad = 0

    def take(self, given: "Input") -> None:
        """Classify; results go to standard output as they come."""
        from sentiment.classify.score import answered, decide

        model = Model(self._model.name, self._model.version)
        for batch in given.rows:
            found, written = answered([row for _, row in batch], self._explain, self._model), []
            for (number, content), (score, why) in zip(batch, found, strict=True):
                if isinstance(score, EventError):
                    self._report(f"{given.label} {number}: {score.code}: {score.message}")
                    if not self._skip_bad:
                        bad = BadRow(number, score.code, score.message, given.file)
                        written.append(wire.encode(bad))
                    continue
                self.good += 1
                event, (sentiment, confidence) = cast("TextEvent", content), decide(score)
                row = Row(number, sentiment, score, confidence, model, event.id, event.source)
                # The explanation is in JSON already, and encoded as it is.
                row.file, row.explanation = given.file, why
                written.append(wire.encode(row))
            sys.stdout.buffer.writelines(row + b"\n" for row in written)
            sys.stdout.buffer.flush()
            if self._progress:
                self._progress.update(self.good + self.bad)

    def end(self) -> None:
        """Print the counts of rows, if one was bad or standard error is a terminal."""
        if self._progress:
            self._progress.clear()
        if self.bad or self._progress:
            click.echo(f"{self.good:,} classified, {self.bad:,} bad", err=True)

    def _report(self, message: str) -> None:
        self.bad += 1
        if self.bad <= MAX_REPORTED:
            click.echo(message, err=True)
        elif self.bad == MAX_REPORTED + 1:
            click.echo("Further bad ones are only counted.", err=True)


class Input(NamedTuple):
    """Rows to classify, in batches."""

    rows: Iterator[Numbered]
    file: str | None  # what each output names as its file; None: nothing
    label: str  # what messages call the file and a row of it


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--text", "texts", multiple=True, help="A text to classify; may be repeated.")
@click.option(
    "--format", "form", type=click.Choice(rows.FORMATS),
    help="How the files are written.  [default: by the name, and JSON Lines where it says nothing]",
)  # fmt: skip
@click.option(
    "--text-column", default="text", show_default=True,
    help="Column of the texts in a table; its columns id and source are passed on.",
)  # fmt: skip
@click.option(
    "--model", metavar="MODEL",
    help="models:/NAME@ALIAS, models:/NAME/VERSION or a directory."
    "  [default: MODEL_URI if MLFLOW_TRACKING_URI or DAGSHUB_REPO is set, else the bundled one]",
)  # fmt: skip
@click.option(
    "--skip-bad", is_flag=True, help="Leave bad rows out, and don't fail because of them."
)
@click.option(
    "--explain", is_flag=True,
    help="Say which n-grams moved each score; without it, rows that have `explain` are explained.",
)  # fmt: skip
def classify(
    *,
    files: tuple[str, ...],
    texts: tuple[str, ...],
    form: Format | None,
    text_column: str,
    model: str | None,
    skip_bad: bool,
    explain: bool,
) -> None:
    """Classify the texts in files.

    Reads FILES, by their names' endings: .txt, .csv, .tsv, .json, .jsonl and .parquet, each also
    with .gz; else, and from standard input, JSON Lines: an object with a `text`, as on the topic.
    Writes one line of JSON for each line or row, in order, with its number; a bad one gives an
    object with `error` and `message`, and exit code 1 at the end. The same rules, code and model as
    the worker's; no Kafka.

    \b
    Examples:
      sentiment classify --text "I loved it" --text "not my thing"
      sentiment classify --text "not my thing" --explain | jq .explanation
      sentiment classify reviews.jsonl > results.jsonl
      sentiment classify reviews.csv --text-column review > results.jsonl
      tail -f app.log | sentiment classify --skip-bad | jq -r .sentiment
      sentiment classify --model models/next reviews.jsonl
    """  # noqa: D301 - click wants the backslash, and a raw docstring would hide it
    if texts and files:
        raise click.UsageError("Give either FILES or --text.")
    if not texts and not files and sys.stdin.isatty():
        raise click.UsageError("Give FILES, --text, or JSON Lines on standard input.")
    from sentiment.registry.registry import named_model

    worker = WorkerSettings()
    explained = "always" if explain else worker.explain
    run = Run(named_model(model), skip_bad=skip_bad, explain=explained)
    for given in _inputs(files, texts, form, text_column, worker.max_event_bytes):
        run.take(given)
    run.end()
    if run.bad and not skip_bad:
        click.get_current_context().exit(1)


def _inputs(
    files: tuple[str, ...], texts: tuple[str, ...], form: Format | None, column: str, max_bytes: int
) -> Iterator[Input]:
    if texts:
        lines = b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)
        choose = rows.columns([], [], "--text", "")
        found = rows.events(BytesIO(lines), "jsonl", choose, "--text", max_bytes)
        yield Input(found, None, "--text, number")
        return
    for name in files or ("-",):
        shown = "standard input" if name == "-" else name
        # What can't be told by its name has events, as the topic does.
        known = form or rows.format_of(name) or "jsonl"
        if name == "-" and known == "parquet":
            raise InputError("Parquet can't be read from standard input.", "Give a file instead.")
        with nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
            size = 0 if name == "-" else Path(name).stat().st_size
            stream = rows.opened(file, shown, size)
            hint = "Name the right one with --text-column."
            choose = rows.columns([column], ["id", "source"], shown, hint)
            found = rows.events(stream, known, choose, shown, max_bytes)
            # As an editor numbers lines.
            label = f"{shown}, {'line' if known in ('lines', 'jsonl') else 'row'}"
            yield Input(found, shown if len(files) > 1 else None, label)
