"""One typed tree of settings, read from the environment.

Each section has its own prefix, so that names stay those that operators know
(`KAFKA_BOOTSTRAP_SERVERS`, `MLFLOW_TRACKING_URI`). Secrets may come from files instead: a file
named after the variable in the directory that `SENTIMENT_SECRETS_DIR` names. Each description
here is the row of `docs/operations.md`; above each number stands why it is that number. What one
app alone needs is a section of its own, in that app (see `sentiment.apps`).

- `section`: what all sections have in common
- `kafka`: how Kafka is reached, and the topics
- `worker`: the worker and its model
"""

from typing import Any, Generic, Self, TypeVar

from sentiment.settings.kafka import KafkaSettings, TopicSettings
from sentiment.settings.section import Section
from sentiment.settings.worker import ModelSettings, WorkerSettings

__all__ = [
    "KafkaSettings",
    "ModelSettings",
    "Section",
    "Settings",
    "TopicSettings",
    "WorkerSettings",
]

Kind = TypeVar("Kind", bound=Section)


class _Shared(Generic[Kind]):
    """A section that every app may use, as an attribute of the tree."""

    def __init__(self, kind: type[Kind]) -> None:
        self._kind = kind

    def __get__(self, settings: "Settings", owner: type["Settings"]) -> Kind:
        return settings.of(self._kind)

    def __set__(self, settings: "Settings", section: Kind) -> None:
        settings.use(section)


class Settings:
    """The whole tree; each section is read from the environment when first used."""

    kafka = _Shared(KafkaSettings)
    topics = _Shared(TopicSettings)
    model = _Shared(ModelSettings)
    worker = _Shared(WorkerSettings)

    def __init__(self) -> None:
        self._sections: dict[type[Section], Any] = {}

    def of(self, kind: type[Kind]) -> Kind:
        """The section of a kind, such as an app's own.

        Raises:
            SettingsError: A value in the environment is wrong.
        """
        if kind not in self._sections:
            self._sections[kind] = kind()
        section: Kind = self._sections[kind]
        return section

    def use(self, section: Section) -> None:
        """Take a section instead of what the environment says."""
        self._sections[type(section)] = section

    def __copy__(self) -> Self:
        copied = type(self)()
        for section in self._sections.values():
            copied.use(section)
        return copied
