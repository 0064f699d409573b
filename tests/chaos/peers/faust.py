"""Faust: an agent that takes an event at a time; at least once, or exactly once as it calls it."""

import sys
import tempfile

import faust

from tests.chaos.peers.job import COMMIT_S, SESSION_MS, Job, passed_on, setting


def main() -> None:
    """Classify events without end."""
    guarantee = setting("PROCESSING_GUARANTEE")
    servers = setting("KAFKA_BOOTSTRAP_SERVERS").split(",")
    app = faust.App(
        setting("WORKER_GROUP_ID"),
        broker=";".join(f"kafka://{server}" for server in servers),
        value_serializer="raw",
        key_serializer="raw",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        processing_guarantee=guarantee,
        broker_commit_interval=COMMIT_S,
        broker_session_timeout=SESSION_MS / 1000,
        broker_heartbeat_interval=SESSION_MS / 4000,
        datadir=tempfile.mkdtemp(),
    )
    job = Job()
    events = app.topic(setting("TOPICS_EVENTS"), value_type=bytes)
    results = app.topic(setting("TOPICS_RESULTS"), value_type=bytes)

    async def classify(stream: faust.StreamT[bytes]) -> None:
        async for event in stream.events():
            if event.value is None:
                continue
            message = event.message
            value = job.result(message.topic, message.partition, message.offset, event.value)
            headers = passed_on(message.headers)
            await results.send(key=event.key, value=value, headers=headers)

    app.agent(events)(classify)
    sys.argv[1:] = ["worker", "--loglevel=info", "--without-web"]
    app.main()


if __name__ == "__main__":
    main()
