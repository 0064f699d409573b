"""The operators' pages: the dead letters, sending one or many back, and the models."""

import copy
import heapq
import re
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec
from flask import Flask, abort, flash, g, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from sentiment import times, wire
from sentiment.dead_letters.dead_letter import DeadLetter, Selection
from sentiment.dead_letters.redrive import LeftError, Redrive, prepare
from sentiment.dead_letters.scan import Found, Scan, find
from sentiment.dead_letters.show import details, safe, time_of
from sentiment.errors import BrokerError, InputError, ModelNotFoundError
from sentiment.registry import tracking
from sentiment.settings import Settings
from sentiment.times import parse_since
from web import services
from web.operators import login
from web.operators.pages import answer, operators, problem, visible
from web.operators.redrives import BusyError, Redrives, Run, current
from web.settings import OperatorsSettings

# What the form offers; the address takes whatever `sentiment dlq list --since` does.
TIMES = {"": "any time", "1h": "the last hour", "1d": "the last day", "7d": "the last week"}
# The longest source that an event may have, and longer than any code of ours.
MAX_FILTER = 256
# About a second of reading; a page that counts a month of them would be a minute's.
LATEST = 20_000
# Twenty pages. A row takes about a kilobyte, whatever its dead letter does.
KEPT = 1_000
ROWS = 50
# Ours are twelve, but whoever may write to the topic makes up others: a count for each.
MAX_CODES = 100
OTHER = "(other)"
MAX_TEXT = 200
# Of each header, key and error: enough to know it by.
MAX_HEADER = 400
# A visitor gives a page up before a command would give the brokers up; seconds.
CONNECT_S = 5.0
# One is back in a fraction of a second; after this the run's own page goes on telling.
SENT_BACK_S = 5.0
# Some hundred thousand of them are counted by then; whoever has more uses the command.
COUNT_S = 20.0
REFRESH_S = 2
# What a person compares; the registry's own page and `sentiment models` have all.
VERSIONS = 20
# A person waits no longer for a page.
REGISTRY_S = 6.0
NAME = re.compile(r"models:/([^/@]+)")


def install(app: Flask, settings: Settings) -> None:
    """Add the pages to an app; without a token or a proxy, nothing: their paths are 404 then."""
    if not settings.of(OperatorsSettings).enabled:
        return
    login.install(app, settings.of(OperatorsSettings))
    Redrives(app, settings)
    # The front page may link here.
    app.jinja_env.globals["operators"] = True
    app.register_blueprint(operators)


@dataclass(frozen=True)
class Filter:
    """What a person chose; empty for all. The time is as the command takes it, but with a zone."""

    code: str
    source: str
    since: str
    # Only those that were not redriven.
    waiting: bool

    def selection(self, *, by_code: bool = True, until: float | None = None) -> Selection:
        """The same for a scan, perhaps of all codes, or until a time in seconds since 1970."""
        since = parse_since(self.since, time.time(), "since") if self.since else "beginning"
        return Selection(
            codes=frozenset({self.code} if self.code and by_code else ()),
            sources=frozenset({self.source} if self.source else ()),
            since=None if since == "beginning" else since,
            until=until,
        )

    def parameters(self, **changes: str) -> dict[str, str]:
        """The address's parameters of this filter with some of them changed."""
        own = {"code": self.code, "source": self.source, "since": self.since}
        own |= {"state": "waiting" if self.waiting else "", **changes}
        return {name: value for name, value in own.items() if value}

    def words(self) -> str:
        """The same for people, and for the log."""
        own = self.parameters(state="").items()
        return ", ".join(f"{name} {value}" for name, value in own) or "all"


def read(values: MultiDict[str, str]) -> Filter:
    """The filter in a request's parameters; an `InputError` where one of them is too long."""
    given = {name: values.get(name, "").strip() for name in ("code", "source", "since")}
    if any(len(text) > MAX_FILTER for text in given.values()):
        raise InputError(f"A filter has {MAX_FILTER} characters at most.")
    return Filter(**given, waiting=values.get("state") == "waiting")


def _listed(settings: Settings, chosen: Filter) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Read the latest dead letters once; those that match the filter, newest first.

    And of all: how many match, counts by any code, and how many older ones were passed over.
    """
    waiting: Counter[str] = Counter()
    sent_back: Counter[str] = Counter()
    matching = 0
    kept: list[tuple[int, int, int, dict[str, Any]]] = []
    with Scan(settings, chosen.selection(by_code=False), latest=LATEST) as scan:
        for dead_letter in scan.dead_letters():
            redriven = dead_letter in scan.redriven
            if redriven and chosen.waiting:
                continue
            counts = sent_back if redriven else waiting
            code = safe(dead_letter.code, MAX_TEXT)
            counts[code if code in counts or len(counts) < MAX_CODES else OTHER] += 1
            if chosen.code not in {"", dead_letter.code}:
                continue
            matching += 1
            key = (dead_letter.timestamp_ms, dead_letter.partition, dead_letter.offset)
            keep = heapq.heappush if len(kept) < KEPT else heapq.heappushpop
            keep(kept, (*key, _row(dead_letter, redriven=redriven)))
        passed_over = scan.passed_over
    rows = [row for *_, row in sorted(kept, reverse=True)]
    both = {
        code: {"waiting": waiting[code], "redriven": sent_back[code]}
        for code, _ in (waiting + sent_back).most_common()
    }
    return rows, {"matching": matching, "counts": both, "not_looked_at": passed_over}


def _row(dead_letter: DeadLetter, *, redriven: bool) -> dict[str, Any]:
    """A dead letter in a list; its texts are safe to show, and cut."""
    return {
        "id": dead_letter.id,
        "time": time_of(dead_letter),
        "code": safe(dead_letter.code, MAX_TEXT),
        "message": safe(dead_letter.message, MAX_TEXT),
        "attempt": dead_letter.attempt,
        "redriven": redriven,
        "event": safe(wire.name_of(dead_letter.input), MAX_TEXT) if dead_letter.input else "",
        "source": safe(dead_letter.source, MAX_TEXT),
        "bytes": len(dead_letter.value),
    }


def _settings() -> Settings:
    """The settings, with less time for brokers; a `BrokerError` while they are away."""
    shared = services.current()
    if shared.inbox.trouble:
        raise BrokerError(shared.inbox.trouble, "The page goes on by itself when Kafka is back.")
    hurried = copy.copy(shared.settings)
    hurried.kafka = hurried.kafka.replace(
        connect_timeout_s=min(CONNECT_S, hurried.kafka.connect_timeout_s)
    )
    return hurried


@operators.get("/")
def home() -> ResponseReturnValue:
    """Where an operator begins."""
    return redirect(url_for(".latest"), 303)


@operators.get("/dead-letters")
def latest() -> ResponseReturnValue:
    """The latest dead letters, and their counts by code."""
    chosen = read(request.args)
    rows, found = _listed(_settings(), chosen)
    number, pages = request.args.get("page", "1"), max(1, -(-len(rows) // ROWS))
    if not (number.isascii() and number.isdigit()) or not 0 < int(number[:9]) <= pages:
        raise InputError(f"There is no page {number[:20]!r} of this list.")
    page = int(number)
    shown = rows[(page - 1) * ROWS : page * ROWS]
    document = {"letters": shown, "page": page, "pages": pages, **found}
    running = current().running()
    return answer("dead_letters.html", document, chosen=chosen, times=TIMES, running=running)


@operators.get("/dead-letters/<int:partition>-<int:offset>")
def one(partition: int, offset: int) -> ResponseReturnValue:
    """All about one."""
    found = _found(partition, offset)
    dead_letter = found.dead_letter
    document = {**details(dead_letter, found.marks), "kept_back": _kept_back(found)}
    return answer(
        "dead_letter.html",
        {"letter": document},
        key=visible(dead_letter.key, MAX_HEADER),
        value=visible(dead_letter.value),
        headers=[(safe(name), visible(own, MAX_HEADER)) for name, own in dead_letter.headers],
        errors=[(name, visible(text, MAX_HEADER)) for name, text in dead_letter.errors.items()],
        message=visible(dead_letter.message, MAX_HEADER),
        time=time_of(dead_letter),
        marks=found.marks,
    )


def _found(partition: int, offset: int) -> Found:
    # Kafka's numbers have 31 and 63 bits.
    fits = partition < 2**31 and offset < 2**63
    found = find(_settings(), partition, offset) if fits else None
    if found is None:
        abort(404, "No dead letter stands here: it has expired, or never was.")
    return found


def _kept_back(found: Found) -> str:
    """Why it can't be sent back from here; empty where it can."""
    if found.marks:
        return "It has been sent back already."
    try:
        prepare(services.current().settings, found.dead_letter)
    except LeftError as error:
        return f"It would only come back: {safe(str(error), MAX_HEADER)}."
    return ""


@operators.post("/dead-letters/<int:partition>-<int:offset>/redrive")
def send_back(partition: int, offset: int) -> ResponseReturnValue:
    """Send one back, once."""
    dead_letter = _found(partition, offset).dead_letter
    # The time spares reading what stands before it, but Kafka can't look up all that its producer
    # wrote. A float holds milliseconds exactly enough up to the year 9999.
    since = dead_letter.timestamp_ms / 1000 if times.date_of(dead_letter.timestamp_ms) else None
    selection = Selection(ids=frozenset({dead_letter.id}), since=since)
    run = current().begin(selection, g.operator.name, dead_letter.id)
    run.ended.wait(SENT_BACK_S)
    if g.operator.by == "bearer" or not run.ended.is_set() or run.problem:
        return _begun(run)
    if run.counts["redriven"]:
        flash("Sent back. The workers classify it now.", "done")
    elif run.counts["redriven_before"]:
        flash("It had been sent back before: nothing was sent.", "left")
    else:
        reason = run.left[0][1] if run.left else "it is no longer there"
        flash(f"Left where it is: {reason}.", "left")
    return redirect(url_for(".one", partition=partition, offset=offset), 303)


class _EnoughError(Exception):
    """Counting has taken long enough."""


@operators.get("/redrive")
def confirm() -> ResponseReturnValue:
    """What a redrive of the filtered ones would do, and the button for it."""
    chosen = read(request.args)
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
    return answer("confirm.html", document, chosen=chosen, running=current().running())


def _count(selection: Selection) -> tuple[Counter[str], bool]:
    """What a redrive would do with each, by outcome; and whether all were counted in time."""
    settings = _settings()
    deadline = time.monotonic() + COUNT_S

    def check_time(*_: object) -> None:
        if time.monotonic() > deadline:
            raise _EnoughError

    with Scan(settings, selection, check_time) as scan:
        trial = Redrive(settings, scan, None, bytes, again=False, tell=lambda _: None)
        try:
            trial.run()
        except _EnoughError:
            return trial.counts, False
    return trial.counts, True


@operators.post("/redrives")
def begin() -> ResponseReturnValue:
    """Begin it."""
    # Only for its complaint: a redrive has more time than a page.
    _settings()
    chosen = read(request.form)
    since, until = (_moment(request.form.get(name, "")) for name in ("since", "until"))
    if until is None:
        raise InputError(
            "Say until when, as `until` in seconds since 1970: what comes later is not meant."
        )
    selection = replace(replace(chosen, since="").selection(until=until), since=since)
    words = replace(chosen, since=_written(since) if since else "").words()
    return _begun(current().begin(selection, g.operator.name, words))


@operators.get("/redrives/<name>")
def run(name: str) -> ResponseReturnValue:
    """How far a redrive is, or how it ended."""
    found = _run(name)
    page = answer("run.html", {"run": found.described()}, begun=_written(found.begun_at))
    if not found.ended.is_set() and "still" not in request.args:
        page.headers["Refresh"] = str(REFRESH_S)
    return page


@operators.post("/redrives/<name>/stop")
def stop(name: str) -> ResponseReturnValue:
    """End it after the batch that is under way."""
    found = _run(name)
    found.stopping.set()
    return _begun(found)


def _begun(run: Run) -> ResponseReturnValue:
    """The answer to a redrive's beginning: where to see how far it is."""
    if g.operator.by == "bearer":
        return jsonify(run=run.described()), 202
    return redirect(url_for(".run", name=run.id), 303)


def _run(name: str) -> Run:
    found = current().find(name)
    if found is None:
        abort(
            404,
            "This process knows no such redrive: it began before the last start, or on another"
            " replica. What was sent back is marked in the list.",
        )
    return found


@operators.errorhandler(BusyError)
def busy(_: BusyError) -> ResponseReturnValue:
    """The answer to a second redrive."""
    running = current().running()
    by = f", begun by {running.who}" if running else ""
    hint = "Wait for its end; then begin this one again."
    return problem(409, f"A redrive is running already{by}.", hint)


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


@operators.get("/models")
def models() -> ResponseReturnValue:
    """Champion, challenger and the latest versions; promoting one stays a command."""
    settings = services.current().settings.model
    match = NAME.match(settings.uri)
    name = match[1] if match else ""
    try:
        found = tracking.models(name, min(REGISTRY_S, settings.registry_timeout_s))
    except ModelNotFoundError:
        found = []
    except ModuleNotFoundError as error:
        return problem(
            501,
            f"The registry's client can't be loaded here: the package {error.name!r} is missing.",
            "Install the page with its operators' extra, `sentiment-stream[web,operators]`;"
            " `sentiment models` shows the same where that is installed.",
        )
    versions: list[dict[str, Any]] = [msgspec.to_builtins(one) for one in found]
    serving = {
        alias: next((one for one in versions if alias in one["aliases"]), None)
        for alias in ("champion", "challenger")
    }
    document = {"name": name, **serving, "versions": versions[:VERSIONS]}
    return answer("models.html", document, more=max(0, len(found) - VERSIONS))
