"""A steady load: `python -m benchmarks.load RATE SECONDS TOPIC TEXTS`, a process of its own.

The texts are a JSON list in a file. One event in `PROBE_EVERY` carries the moment when it was
handed to the producer as its key, in nanoseconds since 1970; keys travel from event to result.
"""

import json
import sys
import time
from pathlib import Path

from sentiment import kafka
from sentiment.settings import Settings

# Enough probes for a p99 of each second, few enough that reading keys costs nothing.
PROBE_EVERY = 20
# Events due within this time are sent together: far below what is measured, and a sleep that the
# system keeps to.
TICK_S = 0.001
FLUSH_S = 30.0


def main(rate: float, seconds: float, topic: str, texts: Path) -> None:
    """Send events at a rate, for a time."""
    settings = Settings()
    # As `sentiment produce` sends: its wait for a batch is part of what is measured.
    producer = kafka.new_producer(settings.kafka)
    partitions = settings.topics.partitions
    values = [
        json.dumps({"id": f"{number}", "text": text, "source": "bench"})
        for number, text in enumerate(json.loads(texts.read_text()))
    ]
    sent, began = 0, time.monotonic()
    while (gone_s := time.monotonic() - began) < seconds:
        for number in range(sent, int(gone_s * rate)):
            key = None if number % PROBE_EVERY else str(time.time_ns())
            # In turns of seven, so that probes, every twentieth event, come to each partition.
            producer.produce(topic, values[number % len(values)], key, number // 7 % partitions)
            sent += 1
        producer.poll(0)
        time.sleep(TICK_S)
    left = producer.flush(FLUSH_S)
    if left:
        raise RuntimeError(f"{left} of {sent} events could not be delivered")
    print(sent)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
