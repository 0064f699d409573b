"""The app with the operators' page on the tests' Kafka, and somebody who is logged in."""

import html
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask.testing import FlaskClient

from sentiment.settings import Settings
from tests.unit.operators import TOKEN, form_token, log_in
from tests.waiting import LONGEST_S, until
from web import services
from web.app import create_app

PAGE = "/operators/dead-letters"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@contextmanager
def logged_in(settings: Settings) -> Iterator[FlaskClient]:
    """A browser that has logged in, on an app that has reached Kafka; ended with the block."""
    app = create_app(settings)
    try:
        client = app.test_client()
        until(lambda: client.get("/readyz").status_code == 200)
        assert log_in(client).status_code == 303
        yield client
    finally:
        services.of(app).close()


def press(client: FlaskClient, path: str, **fields: str) -> str:
    """Send a form of the page and follow it to its end; the text of the page that comes."""
    # Any page of the session has its form token.
    token = form_token(client.get(PAGE))
    answer = client.post(path, data={"csrf_token": token, **fields}, follow_redirects=True)
    deadline = time.monotonic() + LONGEST_S
    while "Refresh" in answer.headers:
        assert time.monotonic() < deadline
        time.sleep(0.1)
        answer = client.get(answer.request.path)
    return answer.text


def asked(client: FlaskClient, path: str, status: int = 200) -> Any:  # noqa: ANN401 - JSON
    """What a program is told."""
    answer = client.application.test_client().get(path, headers=BEARER)
    assert answer.status_code == status, answer.text
    return answer.get_json()


def words(page: str) -> str:
    """A page's text as it is read."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())
