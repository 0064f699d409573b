"""Quix Streams, exactly once: an event at a time, in the checkpoints' transactions."""

import tempfile

from quixstreams import Application, message_context

from tests.chaos.peers.job import (
    COMMIT_S,
    SESSION_MS,
    TRANSACTION_MS,
    Header,
    Job,
    passed_on,
    setting,
)


def main() -> None:
    """Classify events without end."""
    app = Application(
        broker_address=setting("KAFKA_BOOTSTRAP_SERVERS"),
        consumer_group=setting("WORKER_GROUP_ID"),
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_S,
        consumer_extra_config={"session.timeout.ms": SESSION_MS},
        producer_extra_config={"transaction.timeout.ms": TRANSACTION_MS},
        auto_create_topics=False,
        state_dir=tempfile.mkdtemp(),
        loglevel="INFO",
    )
    job = Job()
    events = app.topic(
        setting("TOPICS_EVENTS"), key_deserializer="bytes", value_deserializer="bytes"
    )
    results = app.topic(setting("TOPICS_RESULTS"), key_serializer="bytes", value_serializer="bytes")

    def classify(value: bytes) -> bytes:
        place = message_context()
        return job.result(place.topic, place.partition, place.offset, value)

    def headers(value: bytes, key: object, timestamp: int, given: list[Header]) -> list[Header]:
        del value, key, timestamp
        return passed_on(given)

    frame = app.dataframe(events)
    frame = frame.filter(lambda value: value is not None)
    frame = frame.apply(classify)
    frame = frame.set_headers(headers)
    frame.to_topic(results)
    app.run()


if __name__ == "__main__":
    main()
