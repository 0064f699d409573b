"""Rights as brokers know them: an operation on a named thing."""

from typing import Literal, NamedTuple, get_args, get_type_hints

from sentiment import rights
from sentiment.rights import Right
from sentiment.settings import Settings

Operation = Literal["READ", "WRITE", "CREATE", "DESCRIBE"]
Resource = Literal["topic", "group", "transactional id"]


class Grant(NamedTuple):
    """One operation on one thing.

    Attributes:
        operation: Kafka's name of what is done.
        resource: What kind of thing that is done to.
        name: Its name; a star at the end stands for anything.
    """

    operation: Operation
    resource: Resource
    name: str


def parts() -> list[str]:
    """Every part that has rights, and KEDA, which is none of ours but asks for the workers' lag."""
    return [*get_args(get_type_hints(Right)["part"]), "keda"]


def of(part: str) -> list[Grant]:
    """What a part may do, with the topics' and groups' default names."""
    settings = Settings()
    if part == "keda":
        return [
            Grant("DESCRIBE", "topic", settings.topics.events),
            Grant("DESCRIBE", "group", settings.worker.group_id),
        ]
    return [
        Grant(right.operation, right.resource, right.name(settings)) for right in rights.of(part)
    ]


def user(part: str) -> str:
    """The name of a part's user."""
    return f"sentiment-{part.replace(' ', '-')}"
