"""The `sentiment produce` command. The library is in `sentiment.client`.

`from producer import EventProducer`, where it once stood, works where nothing else has this name.

- `sources`: from files to events
- `command`: `sentiment produce`: rows in, events out, counted
"""

from sentiment.client import EventProducer

__all__ = ["EventProducer"]
