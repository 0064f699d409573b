"""Ten minutes of a busy stream, through real workers: events have the times that they are given."""

import json
import math
import time

from sentiment.kafka import clients
from sentiment.settings import Settings
from tests.waiting import LONGEST_S

# The slots of the page's chart.
WINDOW_S, WINDOWS = 10, 60
# A few thousand events are a second of one worker.
MEAN_EVENTS = 150
SOURCES = ("reviews", "tickets", "survey")
GOOD = ("Wonderful, I loved it.", "A great evening.", "Honest and funny.", "Not bad at all.")
BAD = ("Boring from the first minute.", "What a waste of time.", "Awful service.")
# Some minutes have what is no event.
BROKEN = {20, 21, 44}


def steady(settings: Settings, seconds: int) -> None:
    """Put events on their topic as a stream would, for some seconds."""
    producer = clients.new_producer(settings.kafka)
    for number in range(seconds * MEAN_EVENTS // WINDOW_S):
        texts = BAD if number % 3 == 0 else GOOD
        event = {"text": texts[number % len(texts)], "source": SOURCES[number % 3]}
        producer.produce(settings.topics.events, json.dumps(event))
        producer.poll(0)
        time.sleep(WINDOW_S / MEAN_EVENTS)
    assert producer.flush(LONGEST_S) == 0


def ten_minutes(settings: Settings) -> int:
    """Put ten minutes of waves of events on their topic, and a few that are none.

    Returns:
        How many will have a result.
    """
    producer = clients.new_producer(settings.kafka)
    now = int(time.time())
    count = 0
    for window in range(WINDOWS):
        timestamp = (now - (WINDOWS - 1 - window) * WINDOW_S) * 1000
        events = int(MEAN_EVENTS * (1 + math.sin(window / 7) / 3 + math.sin(window * 2.3) / 10))
        share = 0.62 + 0.09 * math.sin(window / 4)
        for number in range(events):
            texts = GOOD if number < share * events else BAD
            event = {"text": texts[number % len(texts)], "source": SOURCES[number % 3]}
            # Whether the challenger answers depends on the key.
            producer.produce(
                settings.topics.events, json.dumps(event), key=f"{count}", timestamp=timestamp
            )
            producer.poll(0)
            count += 1
        if window in BROKEN:
            producer.produce(settings.topics.events, b"no event", timestamp=timestamp)
    assert producer.flush(LONGEST_S) == 0
    return count
