"""The `sentiment produce` command. The library is in `sentiment.client`.

`from producer import EventProducer`, where it once stood, works where nothing else has this name.

- `command`: `sentiment produce`: from files to events, sent and counted
"""

from typing import TYPE_CHECKING

from sentiment.apps import App, Right

if TYPE_CHECKING:
    from sentiment.client import EventProducer

__all__ = ["APP", "EventProducer"]

APP = App(
    commands={"produce": "producer.command:produce"},
    rights=(Right("produce", "WRITE", "topic", "TOPICS_EVENTS"),),
)


def __getattr__(name: str) -> "type[EventProducer]":
    # Later, so that the list of commands doesn't load Kafka's client.
    if name == "EventProducer":
        from sentiment.client import EventProducer

        return EventProducer
    raise AttributeError(name)
