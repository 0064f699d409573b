"""librdkafka clients from settings.

One place for every property that we set, each with its reason, so that the worker, the page and
the commands agree on how Kafka is reached.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata

from sentiment.errors import BrokerError, SettingsError
from sentiment.kafka_access import Access
from sentiment.kafka_security import security_config
from sentiment.settings import KafkaSettings

Config = dict[str, Any]
Client = TypeVar("Client")


def client_config(settings: KafkaSettings) -> Config:
    """Properties that every client shares.

    Args:
        settings: How to reach Kafka.

    Returns:
        librdkafka properties; `KAFKA_CONFIG` is applied last, by each factory below.
    """
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": "sentiment-stream",
        # A broker that restarts is back in seconds; the default waits up to ten between tries.
        "reconnect.backoff.max.ms": 2000,
        **security_config(settings),
    }


def new_admin(settings: KafkaSettings, access: Access | None = None) -> AdminClient:
    """A client for topics and the cluster.

    Args:
        settings: How to reach Kafka.
        access: Listens to it; by default one of its own.
    """
    return _made(AdminClient, settings, access, client_config(settings))


def new_consumer(
    settings: KafkaSettings,
    access: Access | None = None,
    **properties: Any,  # noqa: ANN401 - librdkafka's types
) -> Consumer:
    """A consumer that sees committed records only.

    Args:
        settings: How to reach Kafka.
        access: Listens to it; by default one of its own.
        properties: Further librdkafka properties, with `_` for `.`.
    """
    config = client_config(settings) | {
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        # The broker answers as soon as there is anything: latency before round trips.
        "fetch.min.bytes": 1,
        "fetch.wait.max.ms": 100,
    }
    return _made(Consumer, settings, access, config | _dotted(properties))


def new_producer(
    settings: KafkaSettings,
    access: Access | None = None,
    **properties: Any,  # noqa: ANN401 - librdkafka's types
) -> Producer:
    """A producer that neither loses nor doubles what it was given.

    Args:
        settings: How to reach Kafka.
        access: Listens to it; by default one of its own.
        properties: Further librdkafka properties, with `_` for `.`.
    """
    config = client_config(settings) | {
        "enable.idempotence": True,
        "acks": "all",
        # Texts shrink to a third, at a cost that the saved network time pays back.
        "compression.type": "lz4",
        # Dead letters carry headers on top of the largest event that a topic takes by default.
        "message.max.bytes": 2_097_152,
        # Waiting this long fills batches under load and can't be seen by a person.
        "linger.ms": 5,
    }
    if "transactional_id" not in properties:
        # Of a partition that a broker has nothing of yet, it takes a second batch before the first
        # one that it refused while it was becoming the leader, and that one, sent again, for a
        # double of what it has: lost, and told as delivered. In a transaction it knows better.
        config["max.in.flight.requests.per.connection"] = 1
    return _made(Producer, settings, access, config | _dotted(properties))


def describe_cluster(settings: KafkaSettings) -> ClusterMetadata:
    """Ask the cluster who it is and which topics it has.

    Args:
        settings: How to reach Kafka.

    Raises:
        BrokerError: No broker answered within `KAFKA_CONNECT_TIMEOUT_S`, or they refuse us.
    """
    access = Access(settings)
    return access.first_answer(new_admin(settings, access), settings.connect_timeout_s)


def unreachable(settings: KafkaSettings, error: KafkaException) -> BrokerError:
    """The sentence for a Kafka that doesn't answer, or doesn't let us ask."""
    return Access(settings).unreachable(error)


def _made(
    kind: Callable[..., Client], settings: KafkaSettings, access: Access | None, config: Config
) -> Client:
    access = access or Access(settings)
    try:
        return kind(config | settings.config | {"error_cb": access.told}, logger=access)
    except KafkaException as error:
        raise SettingsError(
            f"Kafka's client refuses its configuration: {error.args[0].str()}.",
            "Look at the KAFKA_ settings, KAFKA_CONFIG above all.",
        ) from None


def _dotted(properties: Config) -> Config:
    return {name.replace("_", "."): value for name, value in properties.items()}
