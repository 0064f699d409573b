"""The trends as JSON, served by Faust's own web server."""

import time
from collections.abc import Callable

import faust
import msgspec
from faust.web import Request, Response, View
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sentiment import metrics
from sentiment.events import encode
from sentiment.feedback import Labels
from stream_worker.trends.book import Book
from stream_worker.trends.windows import KEPT_S, SIZES_S

# What is shown where nothing is asked for: as many windows as a chart has points.
SHOWN = 60
# Versions that there are series of labels for: the champion, a challenger, and those that they are
# compared with. Each is four series, and a registry has more versions every week.
LABELLED = 10


class RefusedError(Exception):
    """A parameter that can't be; the message says which."""


def add_views(app: faust.App, book: Book, labels: Labels, trouble: Callable[[], str]) -> None:
    """Give an app its pages: `/trends`, `/sources`, `/accuracy`, `/metrics`, `/livez`, `/readyz`.

    Args:
        app: The app.
        book: The windows.
        labels: People's labels.
        trouble: Why nothing can be read now; empty while it can.
    """

    @app.page("/trends")
    async def trends(view: View, request: Request) -> Response:
        try:
            size, since, source = _asked(dict(request.query))
        except RefusedError as error:
            return _json(view, {"error": str(error)}, status=400)
        found = book.trends(book.spans(size, since), source)
        return _json(view, {"window_s": size, "source": source, "trends": list(found)})

    @app.page("/sources")
    async def sources(view: View, request: Request) -> Response:
        del request
        return _json(view, {"sources": book.sources()})

    @app.page("/accuracy")
    async def accuracy(view: View, request: Request) -> Response:
        del request
        return _json(view, {"models": labels.accuracy()})

    @app.page("/metrics")
    async def scrape(view: View, request: Request) -> Response:
        del request
        # Those of the versions before would stay.
        metrics.FEEDBACK_LABELS.clear()
        for (version, sentiment, label), count in labels.counts(LABELLED).items():
            metrics.FEEDBACK_LABELS.labels(version, sentiment, label).set(count)
        body = generate_latest(metrics.EXPOSED["trends"])
        return view.bytes(body, content_type=CONTENT_TYPE_LATEST.partition(";")[0])

    @app.page("/livez")
    async def alive(view: View, request: Request) -> Response:
        del request
        return view.text("ok")

    @app.page("/readyz")
    async def ready(view: View, request: Request) -> Response:
        del request
        reason = trouble()
        return view.text(reason or "ok", status=503 if reason else 200)

    del trends, sources, accuracy, scrape, alive, ready


def _asked(query: dict[str, str]) -> tuple[int, float, str | None]:
    """Length of the windows, since when, and which source; None for all together."""
    size = _number(query, "window", SIZES_S[0])
    if size not in SIZES_S:
        raise RefusedError(f"window={size} is none of {', '.join(map(str, SIZES_S))}")
    seconds = _number(query, "seconds", SHOWN * size)
    return int(size), time.time() - min(seconds, KEPT_S[int(size)]), query.get("source")


def _number(query: dict[str, str], name: str, default: float) -> float:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > len("1000000000"):
        raise RefusedError(f"{name}={text[:20]!r} is no whole number")
    return int(text)


def _json(view: View, value: object, status: int = 200) -> Response:
    body = msgspec.json.format(encode(value), indent=0)
    return view.bytes(body, content_type="application/json", status=status)
