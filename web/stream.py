"""The live feed, as server-sent events (WHATWG HTML, section 9.2)."""

import time
from collections.abc import Iterator

from flask import Blueprint, Response, request

from sentiment import events
from web import services
from web.answers import FeedStatus
from web.errors import RETRY_AFTER_S, ApiError
from web.feeds import Feed
from web.inbox import Inbox

stream = Blueprint("stream", __name__, url_prefix="/api")

# How often a feed looks whether there is a new status to tell.
STATUS_S = 1.0
# Proxies close a connection that is silent for 30 or 60 seconds, the common limits.
HEARTBEAT_S = 15.0
# What a newly opened feed shows at once.
FIRST = 20


@stream.get("/stream")
def feed() -> Response:
    """Results as they come, with `status` between; `?sentiment=` and `?source=` filter."""
    sentiment, source = request.args.get("sentiment", ""), request.args.get("source", "")
    if sentiment not in {"", "positive", "negative"}:
        raise ApiError(400, "invalid_sentiment", "'sentiment' is 'positive' or 'negative'.")
    inbox = services.current().inbox
    opened = inbox.feeds.open(sentiment, source)
    if opened is None:
        raise ApiError(
            503,
            "too_many_feeds",
            "As many live feeds are open as this server bears.",
            retry_after_s=RETRY_AFTER_S,
        )
    first = inbox.outcomes.latest(FIRST, sentiment, source)
    body = _frames(inbox, opened)
    lines = [b"retry: 2000\n\n", *(_frame("result", result) for result in first)]
    # Without buffering, or a proxy would keep the news to itself.
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    answer = Response(_chain(lines, body), mimetype="text/event-stream", headers=headers)
    # Called whether the browser leaves before, within or after the first line.
    answer.call_on_close(lambda: inbox.feeds.leave(opened))
    return answer


def _chain(lines: list[bytes], frames: Iterator[bytes]) -> Iterator[bytes]:
    yield b"".join(lines)
    yield from frames


def _frames(inbox: Inbox, feed: Feed) -> Iterator[bytes]:
    told: FeedStatus | None = None
    next_status = last = time.monotonic()
    skipped = 0
    while not feed.closed:
        # The first status goes out at once: a person waits to hear whether all is well.
        results, more = feed.take(STATUS_S if told else 0)
        skipped += more
        frames = [_frame("result", result) for result in results]
        now = time.monotonic()
        if now >= next_status:
            status = _status(inbox, skipped)
            if status != told:
                frames.append(_frame("status", status))
            told, skipped, next_status = status, 0, now + STATUS_S
        elif not frames and now - last > HEARTBEAT_S:
            frames.append(b": still here\n\n")
        if frames:
            last = now
            yield b"".join(frames)


def _status(inbox: Inbox, skipped: int) -> FeedStatus:
    return FeedStatus(
        not inbox.trouble,
        inbox.trouble,
        inbox.model,
        inbox.results_per_second,
        skipped,
        **inbox.pulse.status(),
    )


def _frame(kind: str, data: object) -> bytes:
    # JSON has no line breaks, and so ends no line of the stream too early.
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), events.encode(data))
