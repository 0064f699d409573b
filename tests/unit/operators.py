"""The app with the operators' page, where no Kafka answers; and how a browser logs in there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sentiment.settings import Settings
from web import services
from web.app import create_app

NOWHERE = "127.0.0.1:1"
TOKEN = "a token of some length"  # noqa: S105 - of the tests alone
SECRET = "what the proxy knows"  # noqa: S105 - same


@contextmanager
def app(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Iterator[Flask]:
    """The app with these settings, ended with the block."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", NOWHERE)
    monkeypatch.setenv("KAFKA_CONNECT_TIMEOUT_S", "0.2")
    for name in ("TOKEN", "USER_HEADER", "PROXY_SECRET", "HTTPS"):
        monkeypatch.delenv(f"OPERATORS_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = create_app(Settings())
    yield made
    services.of(made).close()


def form_token(page: TestResponse) -> str:
    """The token against forged forms in a page."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def log_in(client: FlaskClient, token: str = TOKEN, **fields: str) -> TestResponse:
    """Load the form and send it, as a browser does."""
    form = {"csrf_token": form_token(client.get("/operators/login")), "token": token, **fields}
    return client.post("/operators/login", data=form)
