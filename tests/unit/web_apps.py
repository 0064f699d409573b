"""The app of the page, where no Kafka answers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask

from sentiment.settings import Settings
from web import services
from web.app import create_app
from web.feeds import Feeds

NOWHERE = "127.0.0.1:1"


@contextmanager
def app(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Iterator[Flask]:
    """The app with these settings, ended with the block."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", NOWHERE)
    monkeypatch.setenv("KAFKA_CONNECT_TIMEOUT_S", "0.05")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = create_app(Settings())
    yield made
    services.of(made).close()


class Shown:
    """The reader of a feed: what it was shown.

    Attributes:
        behind: Whether it takes in nothing.
        names: The ids of results, in order.
        told: The latest status.
        ended: Whether the feed has ended.
        left: How often its place was given back.
    """

    def __init__(self) -> None:
        self.behind = self.ended = False
        self.names: list[str] = []
        self.told: dict[str, Any] = {}
        self.left = 0

    def push(self, data: bytes) -> None:
        """Take in what is written."""
        for event in data.decode().split("\n\n")[:-1]:
            kind, told = event.split("\n")
            found = json.loads(told.removeprefix("data: "))
            if kind == "event: result":
                self.names.append(found["id"])
            else:
                self.told = found

    def end(self) -> None:
        """Note the end."""
        self.ended = True

    def leave(self) -> None:
        """Note that the place was given back."""
        self.left += 1

    def all_of(self, feeds: Feeds) -> None:
        """Be shown all that feeds have; they end."""
        feeds.close()
        feeds.run()
