"""How to reach Kafka, and its topics."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import SettingsConfigDict

from sentiment.settings.section import Section

# What Kafka allows as the name of a topic.
TopicName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")]


class KafkaSettings(Section):
    """How to reach Kafka."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_")

    bootstrap_servers: str = Field(
        "127.0.0.1:9092", min_length=1, description="Addresses of brokers, with commas between."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How the connection is secured."
    )
    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "", description="How we prove who we are, with a `SASL_` protocol."
    )
    sasl_username: str = Field("", description="User name for SASL.")
    sasl_password: SecretStr = Field(SecretStr(""), description="Password for SASL; never logged.")
    ssl_ca_location: str = Field("", description="CA certificates; empty: the system's own.")
    config: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        repr=False,  # a password may be among them
        description="Further librdkafka properties as a JSON object; they win over ours.",
    )
    # Ten seconds: a broker that restarts is back by then; a wrong address shouldn't cost more.
    connect_timeout_s: PositiveFloat = Field(
        10.0, description="How long a command waits for the first answer of a broker, in seconds."
    )


class TopicSettings(Section):
    """Names and shapes of the topics."""

    model_config = SettingsConfigDict(env_prefix="TOPICS_")

    events: TopicName = Field("text-events", description="Text events, the input.")
    results: TopicName = Field("sentiment-results", description="Results.")
    dead_letters: TopicName = Field("text-events.dlq", description="What could not be classified.")
    tallies: TopicName = Field("sentiment-tallies", description="Counts per batch and partition.")
    trends: TopicName = Field("sentiment-trends", description="Windowed aggregates.")
    feedback: TopicName = Field("sentiment-feedback", description="People's labels for results.")
    # Four: enough for four workers on one small cluster; more can be added, never taken away.
    partitions: PositiveInt = Field(4, description="Partitions of a topic that we create.")
    # -1 is the cluster's own default: 1 on a laptop, 3 on a well-kept cluster.
    replication: int = Field(
        -1, ge=-1, description="Replicas of a topic that we create; -1: the cluster's default."
    )
