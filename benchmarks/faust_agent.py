"""A peer: a plain Faust agent that asks the same scikit-learn pipeline for each event.

Written as Faust's users write it. It is at-least-once: a kill may double its results.
"""

import json
import sys

import faust

from sentiment.registry import Registry
from sentiment.settings import Settings


def main(group: str, output: str) -> None:
    """Classify the events topic into `output` as a member of `group`, without end."""
    settings = Settings()
    model = Registry(settings.model).load_champion()
    app = faust.App(
        group,
        broker=f"kafka://{settings.kafka.bootstrap_servers}",
        value_serializer="raw",
        key_serializer="raw",
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
    )
    events = app.topic(settings.topics.events, value_type=bytes)
    results = app.topic(output, value_type=bytes)

    @app.agent(events)
    async def classify(stream: faust.StreamT[bytes]) -> None:
        async for value in stream:
            event = json.loads(value)
            [score] = model.scorer.score([event["text"]])
            sentiment = "positive" if score >= 0.5 else "negative"  # noqa: PLR2004 - a probability
            result = {"id": event["id"], "sentiment": sentiment, "score": float(score)}
            await results.send(value=json.dumps(result).encode())

    faust.Worker(app, loglevel="warning").execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
