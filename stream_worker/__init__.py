"""The classifying worker: consume, classify, publish, in one Kafka transaction per batch.

- `worker`: the loop, from a poll to a commit
- `intake`: the consumer: assignment, batches, rewinding, events that expired
- `served_models`: champion and challenger, kept up to date beside the running loop
- `drift`: compares texts and scores with those of the model's evaluation
- `traces`: a span for each event, where traces are wanted
- `metrics`: what is shown at `/metrics`, and what a batch adds to it
- `command`: `sentiment worker`: the process around the loop, with probes, signals and a watchdog
- `replay`: classifies a time range again, beside the live group
- `trends`: windowed aggregates of what the workers did
"""

from sentiment.apps import App, Right
from sentiment.kafka.rights import creating

# What Faust names its table's topic after the group.
_WINDOWS = "-windows-changelog"

APP = App(
    commands={
        "replay": "stream_worker.replay.command:replay",
        "trends": "stream_worker.trends.command:trends",
        "worker": "stream_worker.command:worker",
    },
    settings=("stream_worker.trends.settings:TrendsSettings",),
    metrics=("stream_worker.metrics:WORKER", "stream_worker.metrics:TRENDS"),
    rights=(
        Right("worker", "READ", "topic", "TOPICS_EVENTS"),
        Right("worker", "WRITE", "topic", "TOPICS_RESULTS"),
        Right("worker", "WRITE", "topic", "TOPICS_DEAD_LETTERS"),
        Right("worker", "WRITE", "topic", "TOPICS_TALLIES"),
        Right("worker", "READ", "group", "WORKER_GROUP_ID"),
        # The name that a worker gives itself where WORKER_TRANSACTIONAL_ID is not set.
        Right("worker", "WRITE", "transactional id", "WORKER_GROUP_ID", "-*"),
        Right("trends", "READ", "topic", "TOPICS_TALLIES"),
        Right("trends", "READ", "topic", "TOPICS_FEEDBACK"),
        Right("trends", "READ", "topic", "TRENDS_GROUP_ID", _WINDOWS),
        Right("trends", "WRITE", "topic", "TRENDS_GROUP_ID", _WINDOWS),
        Right("trends", "WRITE", "topic", "TOPICS_TRENDS"),
        Right("trends", "READ", "group", "TRENDS_GROUP_ID"),
        *creating("TRENDS_GROUP_ID", _WINDOWS),
    ),
    topics=("stream_worker.trends.settings:topics",),
)
