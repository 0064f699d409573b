"""One typed tree of settings, read from the environment.

Each section has its own prefix, so that names stay those that operators know
(`KAFKA_BOOTSTRAP_SERVERS`, `MLFLOW_TRACKING_URI`). Secrets may come from files instead: a file
named after the variable in the directory that `SENTIMENT_SECRETS_DIR` names. Each description
here is the row of `docs/operations.md`; above each number stands why it is that number.

- `section`: what all sections have in common
- `kafka`: how Kafka is reached, and the topics
- `worker`: the worker and its model
- `apps`: page, trends, operators, logs, the local machine
"""

from functools import cached_property

from sentiment.settings.apps import (
    LocalSettings,
    LogSettings,
    OperatorsSettings,
    TrendsSettings,
    WebSettings,
)
from sentiment.settings.kafka import KafkaSettings, TopicSettings
from sentiment.settings.section import Section
from sentiment.settings.worker import ModelSettings, WorkerSettings

__all__ = [
    "KafkaSettings",
    "LocalSettings",
    "LogSettings",
    "ModelSettings",
    "OperatorsSettings",
    "Section",
    "Settings",
    "TopicSettings",
    "TrendsSettings",
    "WebSettings",
    "WorkerSettings",
]


class Settings:
    """The whole tree; each section is read from the environment when first used."""

    @cached_property
    def kafka(self) -> KafkaSettings:
        """How to reach Kafka."""
        return KafkaSettings()

    @cached_property
    def topics(self) -> TopicSettings:
        """Names and shapes of the topics."""
        return TopicSettings()

    @cached_property
    def model(self) -> ModelSettings:
        """Which model is served."""
        return ModelSettings()

    @cached_property
    def worker(self) -> WorkerSettings:
        """The worker's own settings."""
        return WorkerSettings()

    @cached_property
    def trends(self) -> TrendsSettings:
        """The windowed aggregates' own settings."""
        return TrendsSettings()

    @cached_property
    def web(self) -> WebSettings:
        """The page's own settings."""
        return WebSettings()

    @cached_property
    def operators(self) -> OperatorsSettings:
        """The page for operators."""
        return OperatorsSettings()

    @cached_property
    def local(self) -> LocalSettings:
        """Kafka and the demo on this machine."""
        return LocalSettings()
