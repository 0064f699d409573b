"""How to reach Kafka, and its topics."""

import os
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from sentiment.settings.section import Section

# What Kafka allows as the name of a topic.
TopicName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")]
Mechanism = Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"]

# What a mechanism can't do without, and librdkafka's property that may stand in KAFKA_CONFIG
# instead.
# pragma: allowlist nextline secret - librdkafka's name of it
PASSWORD = {"sasl_username": "sasl.username", "sasl_password": "sasl.password"}
NEEDS: dict[str, dict[str, str]] = {
    "PLAIN": PASSWORD,
    "SCRAM-SHA-256": PASSWORD,
    "SCRAM-SHA-512": PASSWORD,
    "OAUTHBEARER": {
        "oauth_token_url": "sasl.oauthbearer.token.endpoint.url",
        "oauth_client_id": "sasl.oauthbearer.client.id",
        # pragma: allowlist nextline secret - librdkafka's name of it
        "oauth_client_secret": "sasl.oauthbearer.client.secret",
    },
    "AWS_MSK_IAM": {"msk_region": ""},
}


class KafkaSettings(Section):
    """How to reach Kafka."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_")

    bootstrap_servers: str = Field(
        "127.0.0.1:9092", min_length=1, description="Addresses of brokers, with commas between."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How the connection is secured."
    )
    sasl_mechanism: Mechanism = Field(
        "",
        description="How we prove who we are, with a `SASL_` protocol: `PLAIN`, `SCRAM-SHA-256`,"
        " `SCRAM-SHA-512`, `OAUTHBEARER` or `AWS_MSK_IAM`.",
    )
    sasl_username: str = Field("", description="User name for PLAIN and SCRAM.")
    sasl_password: SecretStr = Field(SecretStr(""), description="Its password; never logged.")
    oauth_token_url: str = Field(
        "", description="Where OAUTHBEARER gets its tokens (the client-credentials grant)."
    )
    oauth_client_id: str = Field("", description="Our name there.")
    oauth_client_secret: SecretStr = Field(
        SecretStr(""), description="Our secret there; never logged."
    )
    oauth_scope: str = Field("", description="Scope to ask for; empty: the server's default.")
    msk_region: str = Field("", description="The AWS region of the cluster, for AWS_MSK_IAM.")
    ssl_ca_location: str = Field("", description="CA certificates; empty: the system's own.")
    ssl_certificate_location: str = Field(
        "", description="Our own certificate (PEM), where the brokers ask for one."
    )
    ssl_key_location: str = Field("", description="The private key of our certificate (PEM).")
    ssl_key_password: SecretStr = Field(
        SecretStr(""), description="The password of that key, if it has one; never logged."
    )
    config: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        repr=False,  # a password may be among them
        description="Further librdkafka properties as a JSON object; they win over ours.",
    )
    # Ten seconds: a broker that restarts is back by then; a wrong address shouldn't cost more.
    connect_timeout_s: PositiveFloat = Field(
        10.0, description="How long a command waits for the first answer of a broker, in seconds."
    )

    @model_validator(mode="after")
    def _the_parts_fit_together(self) -> Self:
        wrong = [*self._of_sasl(), *self._of_tls()]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _of_sasl(self) -> Iterator[str]:
        """What is wrong about how we prove who we are."""
        protocol, mechanism = self.security_protocol, self.sasl_mechanism
        if not protocol.startswith("SASL_"):
            if mechanism and "security.protocol" not in self.config:
                yield f"KAFKA_SASL_MECHANISM={mechanism} needs KAFKA_SECURITY_PROTOCOL=SASL_SSL"
            return
        if not mechanism and not {"sasl.mechanism", "sasl.mechanisms"} & self.config.keys():
            yield f"KAFKA_SECURITY_PROTOCOL={protocol} needs KAFKA_SASL_MECHANISM"
        if mechanism == "AWS_MSK_IAM" and protocol != "SASL_SSL":
            yield "KAFKA_SASL_MECHANISM=AWS_MSK_IAM needs KAFKA_SECURITY_PROTOCOL=SASL_SSL"
        for name, instead in NEEDS.get(mechanism, {}).items():
            if not getattr(self, name) and instead not in self.config:
                yield f"KAFKA_SASL_MECHANISM={mechanism} needs KAFKA_{name.upper()}"

    def _of_tls(self) -> Iterator[str]:
        """What is wrong about the certificates."""
        if not self.security_protocol.endswith("SSL"):
            return
        for name in ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location"):
            place = getattr(self, name)
            if place and not os.access(place, os.R_OK):
                yield f"KAFKA_{name.upper()}={place} can't be read"
        certificate, key = self.ssl_certificate_location, self.ssl_key_location
        if certificate and not key and "ssl.key.pem" not in self.config:
            yield "KAFKA_SSL_CERTIFICATE_LOCATION needs KAFKA_SSL_KEY_LOCATION"
        if key and not certificate:
            yield "KAFKA_SSL_KEY_LOCATION needs KAFKA_SSL_CERTIFICATE_LOCATION"


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
    partitions: PositiveInt = Field(
        4, description="Partitions of a topic that we create; tallies have one."
    )
    # -1 is the cluster's own default: 1 on a laptop, 3 on a well-kept cluster.
    replication: int = Field(
        -1, ge=-1, description="Replicas of a topic that we create; -1: the cluster's default."
    )

    @property
    def redriven(self) -> str:
        """The topic of what was redriven: no setting, so that no two commands differ on it."""
        return f"{self.dead_letters}.redriven"
