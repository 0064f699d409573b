"""What `sentiment classify` does with rows: classify them, write them, count them."""

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, cast

import click
from msgspec import Raw, Struct

from sentiment import events
from sentiment.event_errors import EventError
from sentiment.events import Explanation, Model, Sentiment, TextEvent

if TYPE_CHECKING:
    from sentiment.registry import LoadedModel

# A broken file has broken lines without end; the first few tell what is wrong.
MAX_REPORTED = 10
# Quick enough to look alive, slow enough to read.
PROGRESS_S = 0.5

# Rows with their numbers: each an event, or why it is none.
Numbered = list[tuple[int, TextEvent | EventError]]


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
    explanation: Explanation | None = None


class BadRow(Struct, omit_defaults=True):
    """What is written for one that was not."""

    line: int
    error: str
    message: str
    file: str | None = None


class Classifier:
    """Classifies rows and counts them.

    Args:
        model: Gives the scores.
        skip_bad: Leave bad rows out of the output.
        explain: Which rows get an explanation, see `WorkerSettings`.
    """

    def __init__(
        self,
        model: "LoadedModel",
        *,
        skip_bad: bool,
        explain: Literal["asked", "always", "never"] = "asked",
    ) -> None:
        self._scorer = model.scorer
        self._model = Model(model.name, model.version)
        self._skip_bad = skip_bad
        self._explain = explain
        # Results on the same terminal are progress enough.
        self._shows_progress = sys.stderr.isatty() and not sys.stdout.isatty()
        self._began = self._shown = time.monotonic()
        self.good = self.bad = 0

    def run(self, batches: Iterable[Numbered], file: str | None, label: str) -> None:
        """Classify; results go to standard output as they come.

        Args:
            batches: The rows.
            file: What each output names as its file; None: nothing.
            label: What messages call where the rows come from, and what one of them is called.
        """
        for batch in batches:
            self._classify(batch, file, label)
            self._show_progress()

    def end(self) -> None:
        """Say what became of the rows, where something was bad or somebody looks on."""
        if self.bad or self._shows_progress:
            clear = "\r\x1b[K" if self._shows_progress else ""
            click.echo(f"{clear}{self.good:,} classified, {self.bad:,} bad", err=True)

    def _classify(self, batch: Numbered, file: str | None, label: str) -> None:
        from sentiment.scoring import explain_some

        given = [event for _, event in batch if isinstance(event, TextEvent)]
        asking = {place for place, event in enumerate(given) if self._is_explained(event)}
        found = explain_some(self._scorer, [event.text for event in given], asking)
        answers = zip(found.scores.tolist(), found.explanations, strict=True)
        written = []
        for number, event in batch:
            if isinstance(event, TextEvent):
                self.good += 1
                written.append(events.encode(self._row(number, event, *next(answers), file)))
            else:
                self._report(f"{label} {number}: {event.code}: {event.message}")
                if not self._skip_bad:
                    row = BadRow(number, event.code, event.message, file)
                    written.append(events.encode(row))
        sys.stdout.buffer.writelines(row + b"\n" for row in written)
        sys.stdout.buffer.flush()

    def _is_explained(self, event: TextEvent) -> bool:
        return self._explain == "always" or (self._explain == "asked" and event.explain)

    def _row(
        self, number: int, event: TextEvent, score: float, why: Raw | None, file: str | None
    ) -> Row:
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
            # In JSON already, and encoded as it is.
            cast("Explanation | None", why),
        )

    def _report(self, message: str) -> None:
        self.bad += 1
        if self.bad <= MAX_REPORTED:
            click.echo(message, err=True)
        elif self.bad == MAX_REPORTED + 1:
            click.echo("Further bad ones are only counted.", err=True)

    def _show_progress(self) -> None:
        now = time.monotonic()
        if self._shows_progress and now - self._shown >= PROGRESS_S:
            self._shown = now
            done = self.good + self.bad
            rate = done / (now - self._began)
            click.echo(f"\r{done:,} done, {rate:,.0f} a second\x1b[K", nl=False, err=True)
