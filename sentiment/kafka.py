"""librdkafka clients from settings.

One place for every property that we set, each with its reason, so that the worker, the page and
the commands agree on how Kafka is reached.
"""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata

from sentiment.errors import BrokerError, SettingsError
from sentiment.settings import KafkaSettings

Config = dict[str, Any]
Client = TypeVar("Client")

# librdkafka logs each lost connection at error level and then mends it; an operator wants its
# warnings under a name of their own that can be silenced.
_log = logging.getLogger("librdkafka")


def client_config(settings: KafkaSettings) -> Config:
    """Properties that every client shares.

    Args:
        settings: How to reach Kafka.

    Returns:
        librdkafka properties; `KAFKA_CONFIG` is applied last, by each factory below.
    """
    config: Config = {
        "bootstrap.servers": settings.bootstrap_servers,
        "security.protocol": settings.security_protocol,
        "client.id": "sentiment-stream",
        # A broker that restarts is back in seconds; the default waits up to ten between tries.
        "reconnect.backoff.max.ms": 2000,
    }
    if settings.sasl_mechanism:
        config["sasl.mechanism"] = settings.sasl_mechanism
        config["sasl.username"] = settings.sasl_username
        config["sasl.password"] = settings.sasl_password.get_secret_value()
    if settings.ssl_ca_location:
        config["ssl.ca.location"] = settings.ssl_ca_location
    return config


def new_admin(settings: KafkaSettings) -> AdminClient:
    """A client for topics and the cluster."""
    return _made(AdminClient, client_config(settings) | settings.config)


def new_consumer(settings: KafkaSettings, **properties: Any) -> Consumer:  # noqa: ANN401 - librdkafka's types
    """A consumer that sees committed records only.

    Args:
        settings: How to reach Kafka.
        properties: Further librdkafka properties, with `_` for `.`.
    """
    config = client_config(settings) | {
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        # The broker answers as soon as there is anything: latency before round trips.
        "fetch.min.bytes": 1,
        "fetch.wait.max.ms": 100,
    }
    return _made(Consumer, config | _dotted(properties) | settings.config)


def new_producer(settings: KafkaSettings, **properties: Any) -> Producer:  # noqa: ANN401 - librdkafka's types
    """A producer that neither loses nor doubles what it was given.

    Args:
        settings: How to reach Kafka.
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
    return _made(Producer, config | _dotted(properties) | settings.config)


def describe_cluster(settings: KafkaSettings, admin: AdminClient | None = None) -> ClusterMetadata:
    """Ask the cluster who it is and which topics it has.

    Args:
        settings: How to reach Kafka.
        admin: A client to ask with; by default a new one.

    Raises:
        BrokerError: No broker answered within `KAFKA_CONNECT_TIMEOUT_S`.
    """
    client = admin or new_admin(settings)
    try:
        return client.list_topics(timeout=settings.connect_timeout_s)
    except KafkaException as error:
        raise unreachable(settings, error) from None


def unreachable(settings: KafkaSettings, error: KafkaException) -> BrokerError:
    """The sentence for a Kafka that doesn't answer."""
    cause = error.args[0]
    reason = cause.str() if isinstance(cause, KafkaError) else str(cause)
    return BrokerError(
        f"No Kafka broker answers at {settings.bootstrap_servers}: {reason}.",
        "Start one with `sentiment kafka`, or set KAFKA_BOOTSTRAP_SERVERS to a running one.",
    )


def _made(kind: Callable[..., Client], config: Config) -> Client:
    try:
        return kind(config, logger=_log)
    except KafkaException as error:
        raise SettingsError(
            f"Kafka's client refuses its configuration: {error.args[0].str()}.",
            "Look at the KAFKA_ settings, KAFKA_CONFIG above all.",
        ) from None


def _dotted(properties: Config) -> Config:
    return {name.replace("_", "."): value for name, value in properties.items()}
