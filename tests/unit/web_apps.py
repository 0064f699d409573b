"""The app of the page, where no Kafka answers."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask

from sentiment.settings import Settings
from web import services
from web.app import create_app

NOWHERE = "127.0.0.1:1"


@contextmanager
def app(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Iterator[Flask]:
    """The app with these settings, ended with the block."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", NOWHERE)
    monkeypatch.setenv("KAFKA_CONNECT_TIMEOUT_S", "0.2")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = create_app(Settings())
    yield made
    services.of(made).close()
