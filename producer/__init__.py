"""The `sentiment produce` command. The library is in `sentiment.client`.

`from producer import EventProducer`, where it once stood, works where nothing else has this name.

- `command`: `sentiment produce`: from files to events, sent and counted
"""

from sentiment.client import EventProducer

__all__ = ["EventProducer"]
