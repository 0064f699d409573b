"""`sentiment classify`: JSON Lines in, JSON Lines out, without Kafka."""

import json
import os
import sys
import time
from collections.abc import Iterator
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import click
from msgspec import Struct

from sentiment import events
from sentiment.errors import InputError
from sentiment.events import EventError, Model, TextEvent
from sentiment.settings import ModelSettings, WorkerSettings

if TYPE_CHECKING:
    from sentiment.registry import LoadedModel

# About 1,000 texts of a tweet's length: enough that a batch costs little more than its texts.
CHUNK_BYTES = 256 * 1024
# A broken file has broken lines without end; the first few tell what is wrong.
MAX_REPORTED = 10
# Quick enough to look alive, slow enough to read.
PROGRESS_S = 0.5

Lines = list[bytes]


class Row(Struct, omit_defaults=True):
    """What is written for a line that was classified."""

    line: int
    sentiment: Literal["positive", "negative"]
    score: float
    confidence: float
    model: Model
    id: str | None = None
    source: str | None = None
    file: str | None = None


class BadRow(Struct, omit_defaults=True):
    """What is written for a line that was not."""

    line: int
    error: str
    message: str
    file: str | None = None


class Classifier:
    """Classifies lines and counts them.

    Args:
        model: Gives the scores.
        max_bytes: A longer line is a bad one.
        skip_bad: Leave bad lines out of the output.
    """

    def __init__(self, model: "LoadedModel", max_bytes: int, *, skip_bad: bool) -> None:
        self._scorer = model.scorer
        self._model = Model(model.name, model.version)
        self._max_bytes = max_bytes
        self._skip_bad = skip_bad
        # Results on the same terminal are progress enough.
        self._shows_progress = sys.stderr.isatty() and not sys.stdout.isatty()
        self._began = self._shown = time.monotonic()
        self.good = self.bad = 0

    def run(self, stream: BufferedIOBase, file: str | None, label: str) -> None:
        """Classify a stream; results go to standard output as they come.

        Args:
            stream: JSON Lines.
            file: What each output names as its file; None: nothing.
            label: What messages call the stream.
        """
        first = 1
        for lines in read_lines(stream, self._max_bytes):
            self._classify(lines, first, file, label)
            first += len(lines)
            self._show_progress()

    def end(self) -> None:
        """Say what became of the lines, where something was bad or somebody looks on."""
        if self.bad or self._shows_progress:
            clear = "\r\x1b[K" if self._shows_progress else ""
            click.echo(f"{clear}{self.good:,} classified, {self.bad:,} bad", err=True)

    def _classify(self, lines: Lines, first: int, file: str | None, label: str) -> None:
        numbered = [(number, line) for number, line in enumerate(lines, first) if line.strip()]
        decoded = [self._decode(line) for _, line in numbered]
        texts = [event.text for event in decoded if isinstance(event, TextEvent)]
        scores = iter(self._scorer.score(texts).tolist())
        written = []
        for (number, _), event in zip(numbered, decoded, strict=True):
            if isinstance(event, TextEvent):
                self.good += 1
                written.append(events.encode(self._row(number, event, next(scores), file)))
            else:
                self._report(f"{label}, line {number}: {event.code}: {event.message}")
                if not self._skip_bad:
                    row = BadRow(number, event.code, event.message, file)
                    written.append(events.encode(row))
        sys.stdout.buffer.writelines(row + b"\n" for row in written)
        sys.stdout.buffer.flush()

    def _decode(self, line: bytes) -> TextEvent | EventError:
        if len(line) > self._max_bytes:
            return EventError("too_large", f"more than {self._max_bytes} bytes")
        try:
            return events.decode_event(line)
        except EventError as error:
            return error

    def _row(self, number: int, event: TextEvent, score: float, file: str | None) -> Row:
        positive = score >= 0.5  # noqa: PLR2004 - the decision's threshold
        return Row(
            number,
            "positive" if positive else "negative",
            score,
            score if positive else 1 - score,
            self._model,
            event.id,
            event.source,
            file,
        )

    def _report(self, message: str) -> None:
        self.bad += 1
        if self.bad <= MAX_REPORTED:
            click.echo(message, err=True)
        elif self.bad == MAX_REPORTED + 1:
            click.echo("Further bad lines are only counted.", err=True)

    def _show_progress(self) -> None:
        now = time.monotonic()
        if self._shows_progress and now - self._shown >= PROGRESS_S:
            self._shown = now
            lines = self.good + self.bad
            rate = lines / (now - self._began)
            click.echo(f"\r{lines:,} lines, {rate:,.0f} a second\x1b[K", nl=False, err=True)


def read_lines(stream: BufferedIOBase, max_bytes: int) -> Iterator[Lines]:
    """The lines of a stream, in batches, as soon as they are there.

    Args:
        stream: May be a pipe that somebody still writes to.
        max_bytes: Of a longer line, only the beginning is kept: enough to see that it is longer.

    Raises:
        InputError: The stream can't be read.
    """
    rest = b""
    while chunk := _read(stream):
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[: max_bytes + 1]
        yield lines
    if rest:
        yield [rest]


def _read(stream: BufferedIOBase) -> bytes:
    try:
        return stream.read1(CHUNK_BYTES)
    except OSError as error:
        raise InputError(f"The input can't be read: {error}") from error


def open_model(model: str | None) -> "LoadedModel":
    """The model that `--model` names."""
    from sentiment import artifact
    from sentiment.publish import bundled_model
    from sentiment.registry import LoadedModel, Registry

    if model is None and not os.environ.get("MLFLOW_TRACKING_URI"):
        directory = bundled_model()
        return LoadedModel("sentiment", "bundled", artifact.open_model(directory), time.time())
    if model is None or model.startswith("models:/"):
        return Registry(ModelSettings().replace(uri=model)).load_champion()
    directory = Path(model)
    if not directory.is_dir():
        raise InputError(
            f"There is no model directory {model}.",
            "Give a directory, or the registry's models:/NAME@ALIAS.",
        )
    return LoadedModel(directory.name, "unregistered", artifact.open_model(directory), time.time())


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--text", "texts", multiple=True, help="A text to classify; may be repeated.")
@click.option(
    "--model", metavar="MODEL",
    help="models:/NAME@ALIAS, models:/NAME/VERSION or a directory."
    "  [default: MODEL_URI if MLFLOW_TRACKING_URI is set, else the bundled model]",
)  # fmt: skip
@click.option(
    "--skip-bad", is_flag=True, help="Leave bad lines out, and don't fail because of them."
)
def classify(
    *, files: tuple[str, ...], texts: tuple[str, ...], model: str | None, skip_bad: bool
) -> None:
    """Classify JSON Lines: one object with a `text` per line, as on the topic of events.

    Reads FILES, or standard input. Writes one line of JSON for each line, in order, with its
    number; a bad line gives an object with `error` and `message`, and exit code 1 at the end.
    The same rules, code and model as the worker's; no Kafka.

    \b
    Examples:
      sentiment classify --text "I loved it" --text "not my thing"
      sentiment classify reviews.jsonl > results.jsonl
      tail -f app.log | sentiment classify --skip-bad | jq -r .sentiment
      sentiment classify --model models/next reviews.jsonl
    """  # noqa: D301 - click wants the backslash, and a raw docstring would hide it
    if texts and files:
        raise click.UsageError("Give either FILES or --text.")
    if not texts and not files and sys.stdin.isatty():
        raise click.UsageError("Give FILES, --text, or JSON Lines on standard input.")
    classifier = Classifier(open_model(model), WorkerSettings().max_event_bytes, skip_bad=skip_bad)
    for stream, file, label in _streams(files, texts):
        classifier.run(stream, file, label)
    classifier.end()
    if classifier.bad and not skip_bad:
        click.get_current_context().exit(1)


def _streams(
    files: tuple[str, ...], texts: tuple[str, ...]
) -> Iterator[tuple[BufferedIOBase, str | None, str]]:
    """What to read, what the output names as its file, and what messages call it."""
    if texts:
        lines = b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)
        yield BytesIO(lines), None, "--text"
        return
    for name in files or ("-",):
        if name == "-":
            label = "standard input"
            yield cast("BufferedIOBase", sys.stdin.buffer), label if len(files) > 1 else None, label
        else:
            with Path(name).open("rb") as stream:
                yield stream, name if len(files) > 1 else None, name
