"""The dead letters: their list, one of them, and sending that one back."""

from flask import Blueprint, abort, flash, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from sentiment import times
from sentiment.dlq.describing import details, safe, time_of
from sentiment.dlq.letters import DeadLetter
from sentiment.dlq.look import Found, look
from sentiment.dlq.redriving import LeftError, prepare
from sentiment.dlq.selection import Selection
from sentiment.errors import InputError
from web import services
from web.operators import filters, patience, redrives
from web.operators.answers import answer
from web.operators.listing import look_through
from web.operators.runs import started
from web.operators.visible import visible

letters = Blueprint("letters", __name__)

# One letter is back in a fraction of a second; after this the run's own page goes on telling.
PATIENCE_S = 5.0
# Of each header, key and error: enough to know it by.
MAX_HEADER = 400


@letters.get("/")
def home() -> ResponseReturnValue:
    """Where an operator begins."""
    return redirect(url_for(".latest"), 303)


@letters.get("/dead-letters")
def latest() -> ResponseReturnValue:
    """The latest dead letters, and their counts by code."""
    chosen = filters.read(request.args)
    listing = look_through(patience.settings(), chosen)
    number = request.args.get("page", "1")
    if not (number.isascii() and number.isdigit()) or not 0 < int(number[:9]) <= listing.pages:
        raise InputError(f"There is no page {number[:20]!r} of this list.")
    return answer(
        "dead_letters.html",
        listing.page(int(number)),
        chosen=chosen,
        times=filters.TIMES,
        running=redrives.current().running(),
    )


@letters.get("/dead-letters/<int:partition>-<int:offset>")
def one(partition: int, offset: int) -> ResponseReturnValue:
    """All about one."""
    found = _found(partition, offset)
    letter = found.letter
    document = {**details(letter, found.marks), "kept_back": _kept_back(found)}
    return answer(
        "dead_letter.html",
        {"letter": document},
        key=visible(letter.key, MAX_HEADER),
        value=visible(letter.value),
        headers=[(safe(name), visible(own, MAX_HEADER)) for name, own in letter.headers],
        errors=[(name, visible(text, MAX_HEADER)) for name, text in letter.errors.items()],
        message=visible(letter.message, MAX_HEADER),
        time=time_of(letter),
        marks=found.marks,
    )


@letters.post("/dead-letters/<int:partition>-<int:offset>/redrive")
def send_back(partition: int, offset: int) -> ResponseReturnValue:
    """Send one back, once."""
    letter = _found(partition, offset).letter
    # The time spares reading what stands before it.
    selection = Selection(ids=frozenset({letter.id}), since=_since(letter))
    run = redrives.current().begin(selection, g.operator.name, letter.id)
    run.ended.wait(PATIENCE_S)
    if g.operator.by == "bearer" or not run.ended.is_set() or run.problem:
        return started(run)
    if run.counts["redriven"]:
        flash("Sent back. The workers classify it now.", "done")
    elif run.counts["redriven_before"]:
        flash("It had been sent back before: nothing was sent.", "left")
    else:
        reason = run.left[0][1] if run.left else "it is no longer there"
        flash(f"Left where it is: {reason}.", "left")
    return redirect(url_for(".one", partition=partition, offset=offset), 303)


def _found(partition: int, offset: int) -> Found:
    # Kafka's numbers have 31 and 63 bits.
    fits = partition < 2**31 and offset < 2**63
    found = look(patience.settings(), partition, offset) if fits else None
    if found is None:
        abort(404, "No dead letter stands here: it has expired, or never was.")
    return found


def _since(letter: DeadLetter) -> float | None:
    """Its time, for looking it up; None where Kafka can't look up what its producer wrote."""
    # A float holds milliseconds exactly enough up to the year 9999.
    return letter.timestamp_ms / 1000 if times.date_of(letter.timestamp_ms) else None


def _kept_back(found: Found) -> str:
    """Why it can't be sent back from here; empty where it can."""
    if found.marks:
        return "It has been sent back already."
    try:
        prepare(services.current().settings, found.letter)
    except LeftError as error:
        return f"It would only come back: {safe(str(error), MAX_HEADER)}."
    return ""
