"""The topics: which there are, how each is shaped, creating and checking them."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from sentiment import apps
from sentiment.errors import TopicError
from sentiment.kafka import clients
from sentiment.kafka.clients import Access, is_passing, result_of
from sentiment.settings import KafkaSettings, Settings

DAY_MS = 24 * 60 * 60 * 1000
# Where others may write: brokers that unpack each batch refuse what can't be unpacked, and
# `max.message.bytes` bounds it in a reader's memory, where gzip is a thousand times as much.
UNPACKED = {"compression.type": "uncompressed"}


@dataclass(frozen=True)
class Topic:
    """The shape of one topic: partitions at least, and Kafka's settings of it at creation."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


def wanted(settings: Settings) -> list[Topic]:
    """Every topic of the system, with the shape that the settings ask for."""
    names, partitions = settings.topics, settings.topics.partitions
    # A week: a replay of the last days is possible, and a laptop's disk survives a demo.
    week = {"retention.ms": str(7 * DAY_MS)}
    # A result has its event's key and more beside, a dead letter the whole event and more headers.
    wide = {"max.message.bytes": str(clients.MAX_MESSAGE_BYTES)}
    return [
        Topic(names.events, partitions, week | UNPACKED),
        Topic(names.results, partitions, week | wide),
        # A month to see what went wrong.
        Topic(names.dead_letters, partitions, {"retention.ms": str(30 * DAY_MS)} | wide),
        # Marks have to outlive their dead letters, whose time anybody may raise; they are few.
        Topic(names.redriven, partitions, {"retention.ms": "-1"}),
        # A transaction has a few tallies, one process reads those of a million events a second, and
        # each partition more is a request and a marker before a transaction's results can be read.
        Topic(names.tallies, 1, week | UNPACKED),
        Topic(names.trends, partitions, week),
        # People's labels are few and valuable: the last one for each event is kept for good.
        Topic(names.feedback, partitions, {"cleanup.policy": "compact"} | UNPACKED),
        *apps.topics(settings),
    ]


@dataclass(frozen=True)
class TopicState:
    """What the cluster has of one wanted topic; the commands show it as JSON."""

    name: str
    partitions: int  # 0 where it is missing
    problem: str = ""  # why it can't be used as it is
    created: bool = False
    warning: str = ""  # what should be otherwise, though it works


def check(settings: Settings, topics: Sequence[Topic] | None = None) -> list[TopicState]:
    """Compare the cluster's topics with these, or all that are wanted."""
    topics = wanted(settings) if topics is None else topics
    return _warned(settings, topics, _states(settings, topics))


def _states(settings: Settings, topics: Sequence[Topic]) -> list[TopicState]:
    """What the cluster has of each topic, without warnings."""
    present = clients.describe_cluster(settings.kafka).topics
    hidden = _hidden(settings, [topic.name for topic in topics if topic.name not in present])
    states = []
    for topic in topics:
        count = len(present[topic.name].partitions) if topic.name in present else 0
        if topic.name in hidden:
            problem = "hidden: we have no right to see it"
        elif not count:
            problem = "missing"
        elif count < topic.partitions:
            problem = f"has {count} partitions, fewer than TOPICS_PARTITIONS={topic.partitions}"
        else:
            problem = ""
        states.append(TopicState(topic.name, count, problem))
    return states


def _warned(
    settings: Settings, topics: Sequence[Topic], states: Sequence[TopicState]
) -> list[TopicState]:
    """The same states, with a warning for topics that should be stored unpacked and aren't."""
    unpacked = {topic.name for topic in topics if UNPACKED.items() <= topic.config.items()}
    resources = [
        ConfigResource(ResourceType.TOPIC, state.name)
        for state in states
        if state.partitions and state.name in unpacked
    ]
    admin, timeout = clients.new_admin(settings.kafka), settings.kafka.connect_timeout_s
    asked = admin.describe_configs(resources, request_timeout=timeout) if resources else {}
    warnings = {}
    for resource, answer in asked.items():
        # It is advice alone: whoever may create topics need not have the right to this.
        with suppress(KafkaException, TimeoutError):
            kind = result_of(answer, 2 * timeout)["compression.type"].value
            if {"compression.type": kind} != UNPACKED:
                warnings[resource.name] = (
                    f"compression.type is {kind!r}, not 'uncompressed': what producers compress"
                    " may fill a reader's memory, or be unreadable (docs/security.md)"
                )
    return [replace(state, warning=warnings.get(state.name, "")) for state in states]


def create(settings: Settings, topics: Sequence[Topic] | None = None) -> list[TopicState]:
    """Create those of these topics, or of all wanted, that are missing; their states afterwards."""
    topics = wanted(settings) if topics is None else topics
    missing = {state.name for state in _states(settings, topics) if not state.partitions}
    admin = clients.new_admin(settings.kafka)
    new = [
        NewTopic(topic.name, topic.partitions, settings.topics.replication, config=topic.config)
        for topic in topics
        if topic.name in missing
    ]
    for name, asked in (admin.create_topics(new, operation_timeout=30) if new else {}).items():
        try:
            result_of(asked, 60)
        except KafkaException as error:
            # Another process may have been faster; that is as good.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicError(
                    f"Topic {name!r} could not be created: {error.args[0].str()}",
                    "Check TOPICS_PARTITIONS, TOPICS_REPLICATION and the right to create topics.",
                ) from None
    # The broker that is asked may hear of a new topic a little after the one that made it, all of
    # them in well under a second; ten are enough for a loaded cluster.
    deadline = time.monotonic() + 10
    while True:
        states = _states(settings, topics)
        if all(state.partitions for state in states) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    states = _warned(settings, topics, states)
    return [replace(state, created=state.name in missing) for state in states]


def require(settings: Settings, *names: str) -> None:
    """Make sure that topics exist before work begins."""
    access = Access(settings.kafka)
    admin = clients.new_admin(settings.kafka, access)
    deadline = time.monotonic() + 2  # so late a missing topic is told: it may be new
    while True:
        present = access.first_answer(admin, settings.kafka.connect_timeout_s).topics
        missing = [name for name in names if name not in present]
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    if hidden := _hidden(settings, missing):
        raise TopicError(
            f"Topic {', '.join(map(repr, hidden))} is hidden from us"
            f" at {settings.kafka.bootstrap_servers}: we have no right on it.",
            "docs/operations.md lists the rights that each part needs.",
        )
    if missing:
        raise TopicError(
            f"Topic {', '.join(map(repr, missing))} does not exist"
            f" at {settings.kafka.bootstrap_servers}.",
            "Create all topics with `sentiment topics`.",
        )


def _hidden(settings: Settings, names: list[str]) -> list[str]:
    """Those that, by ACLs, we may not ask about; brokers answer so whether or not there is one."""
    if not names:
        return []
    admin, timeout = clients.new_admin(settings.kafka), settings.kafka.connect_timeout_s
    asked = admin.describe_topics(TopicCollection(names), request_timeout=timeout)
    return [
        name
        for name, answer in asked.items()
        if isinstance(error := answer.exception(), KafkaException)
        and error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    ]


class Identity(NamedTuple):
    """What a topic is now: Kafka's id, which no other topic of its name has, and its partitions."""

    id: str
    partitions: int


def identity(settings: KafkaSettings, name: str) -> Identity:
    """Ask the brokers what a topic is; an `UnreachableError` where they don't answer now."""
    timeout = settings.connect_timeout_s
    access = Access(settings)
    # Held until it has answered: it takes its questions back when it goes.
    admin = clients.new_admin(settings, access)
    asked = admin.describe_topics(TopicCollection([name]), request_timeout=timeout)
    try:
        found = access.answer(admin, asked[name], timeout)
    except KafkaException as error:
        if is_passing(error.args[0]):
            raise access.unreachable(error) from None
        raise TopicError(
            f"Topic {name!r} can't be described: {error.args[0].str()}.",
            "Create all topics with `sentiment topics`; grant DESCRIBE on them.",
        ) from None
    return Identity(str(found.topic_id), len(found.partitions))
