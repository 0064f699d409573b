"""What the routes share: settings, what comes in, what goes out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import Flask, current_app

from sentiment.settings import Settings
from web.access import Keys, Shares
from web.answers import AWAY, ApiError
from web.inbox import Inbox
from web.outbox import Outbox
from web.settings import WebSettings

if TYPE_CHECKING:
    # They have routes too, which ask for what is here.
    from web.trends import TrendsClient
    from web.uploads import Uploads

_KEY = "sentiment"


@dataclass(frozen=True)
class Services:
    """What is behind one app, idle until `start`; `held` are the requests that stay open."""

    settings: Settings
    outbox: Outbox
    uploads: "Uploads"
    inbox: Inbox
    keys: Keys
    trends: "TrendsClient"
    held: Shares

    @property
    def web(self) -> WebSettings:
        """The page's own settings."""
        return self.settings.of(WebSettings)

    def start(self, app: Flask) -> None:
        """Start their threads, for an app."""
        app.extensions[_KEY] = self
        for part in (self.outbox, self.uploads, self.inbox):
            part.start()

    def require_kafka(self) -> None:
        """Refuse what would only wait for brokers that are away."""
        if self.inbox.trouble:
            raise ApiError(503, "kafka_unavailable", AWAY)

    def close(self) -> None:
        """End feeds, waits and threads; within a few seconds."""
        for part in (self.inbox, self.uploads, self.outbox):
            part.close()


def of(app: Flask) -> Services:
    """The services of an app."""
    return cast("Services", app.extensions[_KEY])


def current() -> Services:
    """The services of the app that answers this request."""
    return of(current_app)
