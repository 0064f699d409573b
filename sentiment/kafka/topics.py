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
# A new topic reaches every broker in well under a second; ten are enough for a loaded cluster.
SPREAD_S = 10.0
# Where others may write: the brokers unpack each batch before they store it, so that they refuse
# what can't be unpacked, and `max.message.bytes` bounds what a batch is in a reader's memory. As
# producers send it, a batch of gzip may be a thousand times as much, and a reader holds it whole.
UNPACKED = {"compression.type": "uncompressed"}
# For a topic that another process is just creating; a missing one is reported after this time.
NEW_S = 2.0


@dataclass(frozen=True)
class Topic:
    """The shape of one topic.

    Attributes:
        name: Its name on the cluster.
        partitions: How many partitions it has at least.
        config: Topic-level settings of Kafka, given at creation.
    """

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
        # Marks have to outlive the dead letters that they are about, whose time anybody may raise;
        # they are small, and as rare as an operator's commands.
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
    """What the cluster has of one wanted topic.

    Attributes:
        name: The topic.
        partitions: Its partitions on the cluster; 0 when it is missing.
        problem: Why it can't be used as it is; empty when it can.
        created: Whether this call created it.
        warning: What should be otherwise, though it works.
    """

    name: str
    partitions: int
    problem: str = ""
    created: bool = False
    warning: str = ""


def check(settings: Settings, topics: Sequence[Topic] | None = None) -> list[TopicState]:
    """Compare the cluster's topics with those wanted.

    Args:
        settings: Where Kafka is, and what is wanted.
        topics: The topics to check; None: all that are wanted.

    Raises:
        BrokerError: Kafka can't be reached.
    """
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
    there = [state.name for state in states if state.partitions and state.name in unpacked]
    packed = _packed(settings, there)
    return [
        replace(
            state,
            warning=f"compression.type is {packed[state.name]!r}, not 'uncompressed': what"
            " producers compress may fill a reader's memory, or be unreadable (docs/security.md)",
        )
        if state.name in packed
        else state
        for state in states
    ]


def _packed(settings: Settings, names: list[str]) -> dict[str, str]:
    """By topic that the brokers store compressed, how; without those that they don't tell of."""
    admin = clients.new_admin(settings.kafka)
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    timeout = settings.kafka.connect_timeout_s
    asked = admin.describe_configs(resources, request_timeout=timeout) if names else {}
    found = {}
    for resource, answer in asked.items():
        # It is advice alone: whoever may create topics need not have the right to this.
        with suppress(KafkaException, TimeoutError):
            found[resource.name] = result_of(answer, 2 * timeout)["compression.type"].value
    return {name: kind for name, kind in found.items() if {"compression.type": kind} != UNPACKED}


def create(settings: Settings, topics: Sequence[Topic] | None = None) -> list[TopicState]:
    """Create the topics that are missing; leave those that exist as they are.

    Args:
        settings: Where Kafka is, and what is wanted.
        topics: The topics to create; None: all that are wanted.

    Returns:
        The state of each of them afterwards.

    Raises:
        BrokerError: Kafka can't be reached.
        TopicError: A topic couldn't be created.
    """
    topics = wanted(settings) if topics is None else topics
    missing = {state.name for state in _states(settings, topics) if not state.partitions}
    admin = clients.new_admin(settings.kafka)
    new = [
        NewTopic(topic.name, topic.partitions, settings.topics.replication, config=topic.config)
        for topic in topics
        if topic.name in missing
    ]
    futures = admin.create_topics(new, operation_timeout=30) if new else {}
    for name, future in futures.items():
        try:
            future.result(timeout=60)
        except KafkaException as error:
            # Another process may have been faster; that is as good.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicError(
                    f"Topic {name!r} could not be created: {error.args[0].str()}",
                    "Check TOPICS_PARTITIONS, TOPICS_REPLICATION and the right to create topics.",
                ) from None
    deadline = time.monotonic() + SPREAD_S
    states = _states(settings, topics)
    # The broker that is asked may hear of a new topic a little after the one that made it.
    while any(not state.partitions for state in states) and time.monotonic() < deadline:
        time.sleep(0.1)
        states = _states(settings, topics)
    states = _warned(settings, topics, states)
    return [replace(state, created=state.name in missing) for state in states]


def require(settings: Settings, *names: str) -> None:
    """Make sure that topics exist before work begins.

    Raises:
        BrokerError: Kafka can't be reached.
        TopicError: At least one of them is missing.
    """
    access = Access(settings.kafka)
    admin = clients.new_admin(settings.kafka, access)
    deadline = time.monotonic() + NEW_S
    while True:
        present = access.first_answer(admin, settings.kafka.connect_timeout_s).topics
        missing = [name for name in names if name not in present]
        # A broker may hear of a new topic a little after the one that made it.
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
    """Those of the topics that are not listed for us and that, by ACLs, we may not ask about.

    Brokers answer so whether or not there is such a topic.
    """
    if not names:
        return []
    admin = clients.new_admin(settings.kafka)
    asked = admin.describe_topics(
        TopicCollection(names), request_timeout=settings.kafka.connect_timeout_s
    )
    return [
        name
        for name, answer in asked.items()
        if isinstance(error := answer.exception(), KafkaException)
        and error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    ]


class Identity(NamedTuple):
    """What a topic is at this moment.

    Attributes:
        id: Kafka's id of it, which another topic of the same name doesn't have.
        partitions: How many it has.
    """

    id: str
    partitions: int


def identity(settings: KafkaSettings, name: str) -> Identity:
    """Ask the brokers what a topic is.

    Raises:
        UnreachableError: They don't answer now.
        TopicError: It doesn't exist, or can't be asked about.
    """
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
