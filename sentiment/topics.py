"""The topics: which there are, how each is shaped, creating and checking them."""

import time
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from sentiment import kafka
from sentiment.errors import TopicError
from sentiment.settings import Settings

DAY_MS = 24 * 60 * 60 * 1000
# A new topic reaches every broker in well under a second; ten are room for a loaded cluster.
SPREAD_S = 10.0


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
    return [
        Topic(names.events, partitions, week),
        Topic(names.results, partitions, week),
        # A month to look at what went wrong; larger records, since headers are added to them.
        Topic(
            names.dead_letters,
            partitions,
            {"retention.ms": str(30 * DAY_MS), "max.message.bytes": "2097152"},
        ),
        Topic(names.tallies, partitions, week),
        Topic(names.trends, partitions, week),
        # People's labels are few and dear: kept until somebody decides otherwise.
        Topic(names.feedback, partitions, {"retention.ms": "-1"}),
    ]


@dataclass(frozen=True)
class TopicState:
    """What the cluster has of one wanted topic.

    Attributes:
        name: The topic.
        partitions: Its partitions on the cluster; 0 when it is missing.
        problem: Why it can't be used as it is; empty when it can.
        created: Whether this call created it.
    """

    name: str
    partitions: int
    problem: str = ""
    created: bool = False


def check(settings: Settings, admin: AdminClient | None = None) -> list[TopicState]:
    """Compare the cluster's topics with those wanted.

    Raises:
        BrokerError: Kafka can't be reached.
    """
    present = kafka.describe_cluster(settings.kafka, admin).topics
    states = []
    for topic in wanted(settings):
        count = len(present[topic.name].partitions) if topic.name in present else 0
        if not count:
            problem = "missing"
        elif count < topic.partitions:
            problem = f"has {count} partitions, fewer than TOPICS_PARTITIONS={topic.partitions}"
        else:
            problem = ""
        states.append(TopicState(topic.name, count, problem))
    return states


def create(settings: Settings) -> list[TopicState]:
    """Create the topics that are missing; leave those that exist as they are.

    Returns:
        The state of every wanted topic afterwards.

    Raises:
        BrokerError: Kafka can't be reached.
        TopicError: A topic couldn't be created.
    """
    admin = kafka.new_admin(settings.kafka)
    missing = {state.name for state in check(settings, admin) if not state.partitions}
    new = [
        NewTopic(topic.name, topic.partitions, settings.topics.replication, config=topic.config)
        for topic in wanted(settings)
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
    states = check(settings, admin)
    # The broker that is asked may hear of a new topic a little after the one that made it.
    while any(not state.partitions for state in states) and time.monotonic() < deadline:
        time.sleep(0.1)
        states = check(settings, admin)
    return [
        TopicState(state.name, state.partitions, state.problem, state.name in missing)
        for state in states
    ]


def require(settings: Settings, *names: str) -> None:
    """Make sure that topics exist before work begins.

    Raises:
        BrokerError: Kafka can't be reached.
        TopicError: At least one of them is missing.
    """
    present = kafka.describe_cluster(settings.kafka).topics
    missing = [name for name in names if name not in present]
    if missing:
        raise TopicError(
            f"Topic {', '.join(map(repr, missing))} does not exist"
            f" at {settings.kafka.bootstrap_servers}.",
            "Create all topics with `sentiment topics`.",
        )
