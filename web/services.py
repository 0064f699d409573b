"""What the routes share: settings, what comes in, what goes out."""

from dataclasses import dataclass
from typing import Self, cast

from flask import Flask, current_app

from sentiment.settings import Settings
from web.access import Keys, Shares
from web.batches.batch import Batches
from web.feeds import Outcomes
from web.inbox import Inbox
from web.outbox import Outbox
from web.settings import WebSettings
from web.trends import TrendsClient

_KEY = "sentiment"


@dataclass(frozen=True)
class Services:
    """The long-lived parts behind one app.

    Attributes:
        held: The requests that hold a thread for long: feeds and waits.
    """

    settings: Settings
    inbox: Inbox
    outbox: Outbox
    batches: Batches
    keys: Keys
    trends: TrendsClient
    held: Shares

    @property
    def web(self) -> WebSettings:
        """The page's own settings."""
        return self.settings.of(WebSettings)

    @classmethod
    def made_of(cls, settings: Settings) -> Self:
        """The parts, put together and not yet started."""
        own = settings.of(WebSettings)
        outbox, outcomes = Outbox(settings), Outcomes(own.recent_results)
        batches = Batches(own, outbox, outcomes.at)
        return cls(
            settings,
            Inbox(settings, outcomes, batches.take),
            outbox,
            batches,
            Keys(own),
            TrendsClient(own.trends_url),
            Shares(
                own.threads - own.quick_threads,
                own.max_open_per_caller,
            ),
        )

    def start(self) -> None:
        """Start their threads; never before a fork, which threads don't survive."""
        self.outbox.start()
        self.batches.start()
        self.inbox.start()

    def close(self) -> None:
        """End feeds, waits and threads; within a few seconds."""
        self.inbox.close()
        self.batches.close()
        self.outbox.close()

    def attach(self, app: Flask) -> None:
        """Make them those of an app."""
        app.extensions[_KEY] = self


def of(app: Flask) -> Services:
    """The services of an app."""
    return cast("Services", app.extensions[_KEY])


def current() -> Services:
    """The services of the app that answers this request."""
    return of(current_app)
