"""Redrives in the background: one at a time, each with how far it is and how it ended.

They do what `sentiment dlq redrive` does, by the same library and with the same transactional id:
so a redrive here, on another replica or by the command fences an older one off, and no dead letter
goes back twice.
"""

import copy
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

from flask import Flask, current_app

from sentiment import logs
from sentiment.dead_letters.dead_letter import Selection
from sentiment.dead_letters.redrive import Fate, Redrive, Sender
from sentiment.dead_letters.scan import Scan
from sentiment.dead_letters.show import safe
from sentiment.errors import BrokerError, SentimentError
from sentiment.kafka import topics
from sentiment.settings import Settings
from web import services

log = logs.get(__name__)

# A day's work of an operator; each holds a few kilobytes.
KEPT_RUNS = 20
# Enough to see what is wrong with them; the list of dead letters has them all.
KEPT_LEFT = 50
MAX_REASON = 300

_KEY = "operators.redrives"


class BusyError(Exception):
    """Another redrive of this process is still running."""


class StoppedError(Exception):
    """Somebody stopped the run; what was told is certain."""


@dataclass
class Run:
    """One redrive; its own thread writes it, any other reads it.

    Attributes:
        who: Who began it.
        what: Which dead letters it is about, for people.
        counts: How many had which outcome, as `Fate` names them.
        share: How much of the topic has been read, from 0 to 1.
        left: The first that were left, with the reason.
        problem: Why it ended early; empty where it didn't.
        ended: Set at its end.
        stopping: Set to end it after the present batch.
    """

    who: str
    what: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    begun_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    counts: Counter[str] = field(default_factory=Counter)
    share: float = 0.0
    left: list[tuple[str, str]] = field(default_factory=list)
    problem: str = ""
    ended: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)

    def read(self, count: int, share: float) -> None:
        """Take in how far the scan is.

        Raises:
            StoppedError: The run is to end here.
        """
        del count
        self.share = share
        if self.stopping.is_set():
            raise StoppedError

    def tell(self, fate: Fate) -> None:
        """Take in what became of one dead letter."""
        self.counts[fate.outcome] += 1
        if fate.outcome == "left" and len(self.left) < KEPT_LEFT:
            self.left.append((fate.dead_letter.id, safe(fate.reason, MAX_REASON)))


class Redrives:
    """The redrives of this process.

    Args:
        settings: The whole tree.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}

    def attach(self, app: Flask) -> None:
        """Make them those of an app."""
        app.extensions[_KEY] = self

    def begin(self, selection: Selection, who: str, what: str) -> Run:
        """Begin a redrive on a thread of its own.

        Raises:
            BusyError: One is still running.
        """
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
            run.ended_at = time.time()
            run.ended.set()
            log.info(
                "redrive ended", operator=run.who, selection=run.what, run=run.id,
                problem=run.problem, **dict(run.counts),
            )  # fmt: skip


def current() -> Redrives:
    """The redrives of the app that answers this request."""
    return cast("Redrives", current_app.extensions[_KEY])


# Asking Kafka for somebody who waits for a page.


# Whoever waits for a page takes it for dead before a command's patience ends; seconds.
PATIENCE_S = 5.0


def settings() -> Settings:
    """The app's settings, with less patience for the brokers.

    Raises:
        BrokerError: It is known already that Kafka is away.
    """
    shared = services.current()
    if shared.inbox.trouble:
        raise BrokerError(shared.inbox.trouble, "The page goes on by itself when Kafka is back.")
    hurried = copy.copy(shared.settings)
    hurried.kafka = hurried.kafka.replace(
        connect_timeout_s=min(PATIENCE_S, hurried.kafka.connect_timeout_s)
    )
    return hurried
