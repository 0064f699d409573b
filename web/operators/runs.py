"""Redrives of many: how many it would be, the go-ahead, and how far it is."""

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, abort, g, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue

from sentiment import times
from sentiment.dead_letters.dead_letter import Selection
from sentiment.dead_letters.redrive import Redrive
from sentiment.dead_letters.scan import Scan
from sentiment.errors import InputError
from web.operators import listing, redrives
from web.operators.answers import answer
from web.operators.redrives import Run

runs = Blueprint("runs", __name__)

# Some hundred thousand of them are counted by then; whoever has more uses the command.
COUNT_S = 20.0
# Between two looks of a page that watches a run.
REFRESH_S = 2


class _EnoughError(Exception):
    """Counting has taken long enough."""


@runs.get("/redrive")
def confirm() -> ResponseReturnValue:
    """What a redrive of the filtered ones would do, and the button for it."""
    chosen = listing.read(request.args)
    # From here on the selection stands still: what is counted now is what will be sent.
    selection = chosen.selection(until=time.time())
    counts, complete = _count(selection)
    document = {
        "would_redrive": counts["redriven"],
        "would_leave": counts["left"],
        "redriven_before": counts["redriven_before"],
        "complete": complete,
        "since": selection.since,
        "until": selection.until,
    }
    return answer("confirm.html", document, chosen=chosen, running=redrives.current().running())


@runs.post("/redrives")
def begin() -> ResponseReturnValue:
    """Begin it."""
    # Only for its complaint: a redrive has more patience than a page.
    redrives.settings()
    chosen = listing.read(request.form)
    since, until = (_moment(request.form.get(name, "")) for name in ("since", "until"))
    if until is None:
        raise InputError(
            "Say until when, as `until` in seconds since 1970: what comes later is not meant."
        )
    selection = replace(replace(chosen, since="").selection(until=until), since=since)
    words = replace(chosen, since=_written(since) if since else "").words()
    return started(redrives.current().begin(selection, g.operator.name, words))


@runs.get("/redrives/<name>")
def run(name: str) -> ResponseReturnValue:
    """How far a redrive is, or how it ended."""
    found = _found(name)
    page = answer("run.html", {"run": described(found)}, begun=_written(found.begun_at))
    if not found.ended.is_set() and "still" not in request.args:
        page.headers["Refresh"] = str(REFRESH_S)
    return page


@runs.post("/redrives/<name>/stop")
def stop(name: str) -> ResponseReturnValue:
    """End it after the batch that is under way."""
    found = _found(name)
    found.stopping.set()
    return started(found)


def started(run: Run) -> ResponseReturnValue:
    """The answer to a redrive's beginning: where to see how far it is."""
    if g.operator.by == "bearer":
        return jsonify(run=described(run)), 202
    return redirect(url_for("operators.runs.run", name=run.id), 303)


def described(run: Run) -> dict[str, Any]:
    """A run as JSON."""
    return {
        "id": run.id,
        "by": run.who,
        "selection": run.what,
        "ended": run.ended.is_set(),
        "problem": run.problem,
        "share": round(run.share, 3),
        "redriven": run.counts["redriven"],
        "left": run.counts["left"],
        "redriven_before": run.counts["redriven_before"],
        "reasons": [{"id": name, "reason": reason} for name, reason in list(run.left)],
    }


def _count(selection: Selection) -> tuple[Counter[str], bool]:
    """What a redrive would do with each, by outcome; and whether all were looked at in time."""
    settings = redrives.settings()
    deadline = time.monotonic() + COUNT_S

    def look_at_the_clock(*_: object) -> None:
        if time.monotonic() > deadline:
            raise _EnoughError

    with Scan(settings, selection, look_at_the_clock) as scan:
        trial = Redrive(settings, scan, None, bytes, again=False, tell=lambda _: None)
        try:
            trial.run()
        except _EnoughError:
            return trial.counts, False
    return trial.counts, True


def _found(name: str) -> Run:
    found = redrives.current().find(name)
    if found is None:
        abort(
            404,
            "This process knows no such redrive: it began before the last start, or on another"
            " replica. What was sent back is marked in the list.",
        )
    return found


def _moment(text: str) -> float | None:
    try:
        seconds = float(text) if text else None
    except ValueError:
        seconds = -1.0
    # Kafka takes a negative time for the topic's end; the comparison is false for NaN too.
    if seconds is not None and not 0 <= seconds <= times.LATEST_MS // 1000:
        raise InputError("A time has to be in seconds since 1970.")
    return seconds


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
