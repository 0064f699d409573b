"""Stand-ins in the browser for routes that the server has no code for yet.

Each answers as the route's description says. They step back by themselves: where the server names
a part in its page, or a result carries an explanation, the real one is used.
"""

import csv
import io
import math
import time
from itertools import count
from typing import Any

from playwright.sync_api import BrowserContext, Route

WINDOW_S, WINDOWS = 10, 60


class StandIns:
    """The routes of a browser's tabs; made before any of them goes anywhere.

    Args:
        context: The tabs.

    Attributes:
        feedback: What was posted as feedback.
        batches: What was posted as a batch: content type and body.
        challenger: Whether answers come as a challenger's.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.feedback: list[dict[str, str]] = []
        self.batches: list[tuple[str, str]] = []
        self.challenger = False
        self._texts: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        self._looks = count(1)
        context.route("**/", self._page)
        context.route("**/api/events", self._event)
        context.route("**/api/results/*", self._result)
        context.route("**/api/trends?*", lambda route: route.fulfill(json=trends()))
        context.route("**/api/feedback", self._judge)
        context.route("**/api/batches", self._batch)
        context.route("**/api/batches/*", self._progress)
        context.route("**/api/batches/*/results?*", self._download)

    def _page(self, route: Route) -> None:
        answer = route.fetch()
        body = answer.text().replace('data-parts=""', 'data-parts="trends feedback batches"')
        body = body.replace('"batch-title" hidden', '"batch-title"')
        route.fulfill(response=answer, body=body)

    def _event(self, route: Route) -> None:
        sent = _posted(route)
        assert sent["explain"] is True
        self._texts[sent["id"]] = sent["text"]
        route.continue_()

    def _result(self, route: Route) -> None:
        answer = route.fetch()
        if answer.status != 200:
            route.fulfill(response=answer)
            return
        result = answer.json()
        result["canary"] = self.challenger
        self._labels[result["id"]] = result["sentiment"]
        route.fulfill(response=answer, json=result)

    def _judge(self, route: Route) -> None:
        sent = _posted(route)
        self.feedback.append(sent)
        label = self._labels[sent["id"]]
        if sent["verdict"] == "wrong":
            label = "positive" if label == "negative" else "negative"
        document = {"id": sent["id"], "label": label, "text_kept": False}
        route.fulfill(status=202, json=document)

    def _batch(self, route: Route) -> None:
        kind = route.request.headers["content-type"]
        body = (route.request.post_data_buffer or b"").decode()
        self.batches.append((kind, body))
        lines = len(body.splitlines()) - (kind == "text/csv")
        route.fulfill(status=202, json={"id": "b1", "lines": lines, "refused": []})

    def _progress(self, route: Route) -> None:
        kind, body = self.batches[-1]
        lines = len(body.splitlines()) - (kind == "text/csv")
        done = next(self._looks) > 2
        answered = lines - 1 if done else lines // 2
        document = {
            "id": "b1",
            "lines": lines,
            "sent": lines - 1,
            "answered": answered,
            "positive": answered - answered // 3,
            "negative": answered // 3,
            "dead_letters": 0,
            "refused": [{"line": 3, "reason": "the text is empty <b>"}],
            "done": done,
        }
        route.fulfill(json=document)

    def _download(self, route: Route) -> None:
        text = io.StringIO()
        csv.writer(text).writerows([["line", "sentiment"], [1, "positive"]])
        headers = {
            "Content-Type": "text/csv",
            "Content-Disposition": "attachment; filename=b1.csv",
        }
        route.fulfill(body=text.getvalue(), headers=headers)


def _posted(route: Route) -> dict[str, Any]:
    document = route.request.post_data_json
    assert isinstance(document, dict)
    return document


def trends() -> dict[str, Any]:
    """Ten minutes of a busy stream: two waves, a challenger since four minutes, dead letters."""
    now = int(time.time()) // WINDOW_S * WINDOW_S
    windows = []
    for number in range(WINDOWS):
        events = int(4200 + 1500 * math.sin(number / 7) + 400 * math.sin(number * 2.3))
        # The last window has only begun.
        events = events // 2 if number == WINDOWS - 1 else events
        positive = int(events * (0.62 + 0.09 * math.sin(number / 4)))
        tried = events // 10 if number > WINDOWS * 0.6 else 0
        models = {"1": counts(events - tried, positive - tried // 2)}
        if tried:
            models["2"] = counts(tried, tried // 2)
        windows.append(
            {
                "window_s": WINDOW_S,
                "start": now - (WINDOWS - 1 - number) * WINDOW_S,
                "source": None,
                "total": counts(events, positive, 2 if number in {20, 21, 44} else 0),
                "models": models,
            }
        )
    return {"window_s": WINDOW_S, "source": None, "trends": windows}


def counts(events: int, positive: int, dead_letters: int = 0) -> dict[str, Any]:
    """The counts of a window."""
    share = positive / events if events else None
    return {
        "events": events,
        "positive": positive,
        "dead_letters": dead_letters,
        "positive_share": share,
        "mean_score": share,
        "mean_latency_ms": 12.0,
    }
