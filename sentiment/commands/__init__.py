"""The subcommands of `sentiment` that belong to no app, and all that the library registers.

- `classify`: files in, JSON Lines out, without Kafka
- `results`: the results topic on a terminal, and `sentiment topics`
"""

from sentiment.apps import App
from sentiment.kafka.rights import RIGHTS

APP = App(
    commands={
        "classify": "sentiment.commands.classify:classify",
        "dlq": "sentiment.dead_letters.command:dlq",
        "results": "sentiment.commands.results:results",
        "topics": "sentiment.commands.results:topics",
    },
    settings=(
        "sentiment.settings:KafkaSettings",
        "sentiment.settings:TopicSettings",
        "sentiment.settings:ModelSettings",
        "sentiment.settings:WorkerSettings",
        "sentiment.logs:LogSettings",
    ),
    metrics=("sentiment.metrics:EVERYWHERE",),
    rights=RIGHTS,
)
