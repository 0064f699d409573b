"""`sentiment classify`: texts in, JSON Lines out, without Kafka."""

import json
import os
import sys
import time
from collections.abc import Iterator
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import click

from sentiment.commands.classifier import Classifier, Numbered
from sentiment.commands.inputs import json_lines, parquet_rows
from sentiment.errors import InputError
from sentiment.settings import ModelSettings, WorkerSettings

if TYPE_CHECKING:
    from sentiment.registry import LoadedModel


class Input(NamedTuple):
    """Rows to classify.

    Attributes:
        rows: In batches.
        file: What each output names as its file; None: nothing.
        label: What messages call the file and a row of it.
    """

    rows: Iterator[Numbered]
    file: str | None
    label: str


def open_model(model: str | None) -> "LoadedModel":
    """The model that `--model` names."""
    from sentiment import artifact
    from sentiment.publish import bundled_model
    from sentiment.registry import COMPILED, LoadedModel, Registry

    compiled = ModelSettings().cache_dir / COMPILED
    if model is None and not os.environ.get("MLFLOW_TRACKING_URI"):
        scorer = artifact.open_model(bundled_model(), compiled)
        return LoadedModel("sentiment", "bundled", scorer, time.time())
    if model is None or model.startswith("models:/"):
        return Registry(ModelSettings().replace(uri=model)).load_champion()
    directory = Path(model)
    if not directory.is_dir():
        raise InputError(
            f"There is no model directory {model}.",
            "Give a directory, or the registry's models:/NAME@ALIAS.",
        )
    scorer = artifact.open_model(directory, compiled)
    return LoadedModel(directory.name, "unregistered", scorer, time.time())


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--text", "texts", multiple=True, help="A text to classify; may be repeated.")
@click.option(
    "--text-column", default="text", show_default=True,
    help="Column of the texts in a Parquet file; its columns id and source are passed on.",
)  # fmt: skip
@click.option(
    "--model", metavar="MODEL",
    help="models:/NAME@ALIAS, models:/NAME/VERSION or a directory."
    "  [default: MODEL_URI if MLFLOW_TRACKING_URI is set, else the bundled model]",
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
    text_column: str,
    model: str | None,
    skip_bad: bool,
    explain: bool,
) -> None:
    """Classify JSON Lines (one object with a `text` per line, as on the topic) and Parquet files.

    Reads FILES, by their names' endings, or JSON Lines from standard input. Writes one line of JSON
    for each line or row, in order, with its number; a bad one gives an object with `error` and
    `message`, and exit code 1 at the end. The same rules, code and model as the worker's; no Kafka.

    \b
    Examples:
      sentiment classify --text "I loved it" --text "not my thing"
      sentiment classify --text "not my thing" --explain | jq .explanation
      sentiment classify reviews.jsonl > results.jsonl
      sentiment classify reviews.parquet --text-column review > results.jsonl
      tail -f app.log | sentiment classify --skip-bad | jq -r .sentiment
      sentiment classify --model models/next reviews.jsonl
    """  # noqa: D301 - click wants the backslash, and a raw docstring would hide it
    if texts and files:
        raise click.UsageError("Give either FILES or --text.")
    if not texts and not files and sys.stdin.isatty():
        raise click.UsageError("Give FILES, --text, or JSON Lines on standard input.")
    worker = WorkerSettings()
    explained = "always" if explain else worker.explain
    classifier = Classifier(open_model(model), skip_bad=skip_bad, explain=explained)
    for rows, file, label in _inputs(files, texts, text_column, worker.max_event_bytes):
        classifier.run(rows, file, label)
    classifier.end()
    if classifier.bad and not skip_bad:
        click.get_current_context().exit(1)


def _inputs(
    files: tuple[str, ...], texts: tuple[str, ...], text_column: str, max_bytes: int
) -> Iterator[Input]:
    if texts:
        lines = b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)
        yield Input(json_lines(BytesIO(lines), max_bytes), None, "--text, number")
        return
    for name in files or ("-",):
        shown = "standard input" if name == "-" else name
        file = shown if len(files) > 1 else None
        if name == "-":
            stream = cast("BufferedIOBase", sys.stdin.buffer)
            yield Input(json_lines(stream, max_bytes), file, f"{shown}, line")
        elif Path(name).suffix.lower() == ".parquet":
            rows = parquet_rows(Path(name), text_column, max_bytes)
            yield Input(rows, file, f"{shown}, row")
        else:
            with Path(name).open("rb") as opened:
                yield Input(json_lines(opened, max_bytes), file, f"{shown}, line")
