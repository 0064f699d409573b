"""Redrives in the background: one at a time, each with how far it is and how it ended.

They have the library and transactional id of `sentiment dlq redrive`: each fences an older one off,
wherever it runs, and no dead letter goes back twice.
"""

import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, cast

from flask import Flask, current_app

from sentiment import logs
from sentiment.dead_letters.dead_letter import Selection
from sentiment.dead_letters.redrive import Fate, Redrive, Sender
from sentiment.dead_letters.scan import Scan
from sentiment.dead_letters.show import safe
from sentiment.errors import SentimentError
from sentiment.kafka import topics
from sentiment.settings import Settings

# A day's work of an operator; each holds a few kilobytes.
KEPT_RUNS = 20
# Enough to see what is wrong with them; the list of dead letters has them all.
KEPT_LEFT = 50
MAX_REASON = 300
_KEY = "operators.redrives"

log = logs.get(__name__)


class BusyError(Exception):
    """Another redrive of this process is still running."""


class StoppedError(Exception):
    """Somebody stopped the run; what was reported is certain."""


@dataclass
class Run:
    """One redrive; its own thread writes it, any other reads it.

    Counts are by the outcomes of `Fate`; the share, from 0 to 1, is what has been read of the
    topic; `left` are the first ones with their reasons. A problem ended it early.
    """

    who: str
    what: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    begun_at: float = field(default_factory=time.time)
    counts: Counter[str] = field(default_factory=Counter)
    share: float = 0.0
    left: list[tuple[str, str]] = field(default_factory=list)
    problem: str = ""
    ended: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)

    def read(self, _: int, share: float) -> None:
        """Take in how far the scan is; a `StoppedError` where the run is to end here."""
        self.share = share
        if self.stopping.is_set():
            raise StoppedError

    def tell(self, fate: Fate) -> None:
        """Take in what became of one dead letter."""
        self.counts[fate.outcome] += 1
        if fate.outcome == "left" and len(self.left) < KEPT_LEFT:
            self.left.append((fate.dead_letter.id, safe(fate.reason, MAX_REASON)))

    def described(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "id": self.id,
            "by": self.who,
            "selection": self.what,
            "ended": self.ended.is_set(),
            "problem": self.problem,
            "share": round(self.share, 3),
            "redriven": self.counts["redriven"],
            "left": self.counts["left"],
            "redriven_before": self.counts["redriven_before"],
            "reasons": [{"id": name, "reason": reason} for name, reason in list(self.left)],
        }


class Redrives:
    """The redrives of this process."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        app.extensions[_KEY] = self
        self._settings = settings
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}

    def begin(self, selection: Selection, who: str, what: str) -> Run:
        """Begin a redrive on a thread of its own; a `BusyError` where one is still running."""
        run = Run(who, what)
        with self._lock:
            if self.running():
                raise BusyError
            self._runs[run.id] = run
            for name in list(self._runs)[:-KEPT_RUNS]:
                del self._runs[name]
        log.info("redrive begun", operator=who, selection=what, run=run.id)
        # A process that ends need not wait: the brokers abort what is open, and nothing is doubled.
        threading.Thread(
            target=self._work, args=(run, selection), name="redrive", daemon=True
        ).start()
        return run

    def find(self, name: str) -> Run | None:
        """A run by its id; None if this process has none, or no longer."""
        return self._runs.get(name)

    def running(self) -> Run | None:
        """The run that has not ended."""
        return next((run for run in list(self._runs.values()) if not run.ended.is_set()), None)

    def _work(self, run: Run, selection: Selection) -> None:
        settings = self._settings
        names = settings.topics
        try:
            topics.require(settings, names.events, names.dead_letters, names.redriven)
            # Before the scan, for the reason that stands in `sentiment.dead_letters.redrive`.
            sender = Sender(settings)
            with Scan(settings, selection, run.read) as scan:
                Redrive(settings, scan, sender, bytes, again=False, tell=run.tell).run()
        except SentimentError as error:
            run.problem = f"{error.message} {error.hint}".strip()
        except StoppedError:
            run.problem = "It was stopped. Begin again: it goes on with what is left."
        except Exception:
            run.problem = "The server failed; its log says why."
            log.exception("redrive failed", run=run.id)
        finally:
            run.ended.set()
            log.info(
                "redrive ended", operator=run.who, selection=run.what, run=run.id,
                problem=run.problem, **dict(run.counts),
            )  # fmt: skip


def current() -> Redrives:
    """The redrives of the app that answers this request."""
    return cast("Redrives", current_app.extensions[_KEY])
