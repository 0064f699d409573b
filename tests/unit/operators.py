"""The app with the operators' page, where no Kafka answers; and how a browser logs in there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.unit import web_apps

TOKEN = "a token of some length"  # noqa: S105 - of the tests alone
SECRET = "what the proxy knows"  # noqa: S105 - same  # pragma: allowlist secret


@contextmanager
def app(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Iterator[Flask]:
    """The app with these settings of the operators' and no others, ended with the block."""
    for name in ("TOKEN", "USER_HEADER", "PROXY_SECRET", "HTTPS"):
        monkeypatch.delenv(f"OPERATORS_{name}", raising=False)
    with web_apps.app(monkeypatch, **environment) as made:
        yield made


def form_token(page: TestResponse) -> str:
    """The token against forged forms in a page."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def log_in(client: FlaskClient, token: str = TOKEN, **fields: str) -> TestResponse:
    """Load the form and send it, as a browser does."""
    form = {"csrf_token": form_token(client.get("/operators/login")), "token": token, **fields}
    return client.post("/operators/login", data=form)
