"""One typed tree of settings, read from the environment.

Each section has its own prefix, so that names stay those that operators know. Secrets may come from
files instead, named after the variable, in the directory `SENTIMENT_SECRETS_DIR`. A description is
the row of `docs/operations.md`; above each number stands why it is that number. What one app alone
needs is a section of its own, in that app (see `sentiment.apps`).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as NotJsonError

from sentiment.errors import SettingsError

# What Kafka allows as the name of a topic.
TopicName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")]
Mechanism = Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"]

# What a mechanism can't do without, and librdkafka's property that may be in KAFKA_CONFIG instead.
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
Share = Annotated[float, Field(gt=0, le=1)]
ShareOrNothing = Annotated[float, Field(ge=0, le=1)]
# A batch of a partition, by its first and last offset.
_BATCH = r"[\w.-]+:\d{1,9}:\d{1,18}-\d{1,18}"
# What MLflow calls the address of a model.
ModelUri = Annotated[str, Field(pattern=r"^models:/[^/@]+(@[^/@]+|/\d+)$")]


class Section(BaseSettings):
    """A part of the tree. Subclasses set their prefix; wrong values raise `SettingsError`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - the fields have the types
        prefix = str(self.model_config.get("env_prefix", ""))
        secrets = os.environ.get("SENTIMENT_SECRETS_DIR")
        if secrets and not Path(secrets).is_dir():
            raise SettingsError(f"SENTIMENT_SECRETS_DIR={secrets} is no directory.")
        try:
            super().__init__(_secrets_dir=secrets, **values)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_context=False, include_input=False)
            # A rule about two variables names both itself.
            lines = [
                f"{prefix}{'.'.join(map(str, e['loc']))}".upper() + f": {e['msg']}"
                if e["loc"]
                else e["msg"].removeprefix("Value error, ")
                for e in wrong
            ]
        except NotJsonError as error:
            # Its sentence has the field in quotation marks, and nothing else has.
            lines = [f"{prefix}{str(error).split(chr(34))[1]}".upper() + ": Input should be JSON"]
        else:
            return
        raise SettingsError(
            "Wrong setting: " + "; ".join(lines),
            "Set it in the environment; docs/operations.md lists every setting.",
        )

    def replace(self, **changes: Any) -> Self:  # noqa: ANN401 - the fields have the types
        """A validated copy with some values changed; None changes nothing."""
        given = {name: value for name, value in changes.items() if value is not None}
        return type(self)(**{**self.model_dump(), **given})


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


class ModelSettings(Section):
    """Which model is served and where copies of it are kept."""

    model_config = SettingsConfigDict(env_prefix="MODEL_", protected_namespaces=())

    uri: ModelUri = Field(
        "models:/sentiment@champion",
        description="The model: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.",
    )
    challenger_uri: ModelUri = Field(
        "models:/sentiment@challenger",
        description="A model on trial beside it, where one of the next two shares is above 0.",
    )
    # Nothing by default: each text that two models score costs the time of two.
    shadow_share: ShareOrNothing = Field(
        0.0, description="Share of texts that the challenger scores too, for the metrics only."
    )
    # Nothing by default: who answers whom is for an operator to decide.
    canary_share: ShareOrNothing = Field(
        0.0, description="Share of keys that the challenger answers for; always the same ones."
    )
    cache_dir: Path = Field(
        Path.home() / ".cache" / "sentiment-stream" / "models",
        description="Where the last good copy of a model is kept, for when the registry is down.",
    )
    # Five seconds: a moved alias is served within ten, and a registry bears a call per 5 s and pod.
    poll_interval_s: PositiveFloat = Field(
        5.0, description="How often the registry is asked where the alias points, in seconds."
    )
    # Twenty seconds: MLflow's own HTTP client would retry for minutes while nothing is served.
    registry_timeout_s: PositiveFloat = Field(
        20.0, description="How long one call to the registry may take, in seconds."
    )


class WorkerSettings(Section):
    """The classifying worker."""

    model_config = SettingsConfigDict(env_prefix="WORKER_")

    group_id: str = Field(
        "sentiment-workers", min_length=1, description="Consumer group that all workers share."
    )
    group_protocol: Literal["consumer", "classic"] = Field(
        "consumer",
        description="`consumer` (KIP-848, Apache Kafka 4) or `classic` for older brokers.",
    )
    transactional_id: str = Field(
        "",
        description="Stable name of this worker's transactions, unique among running workers, such"
        " as the pod name of a StatefulSet. Empty: a new one at each start; then a killed worker's"
        " open transaction ends only when it times out.",
    )
    # 5,000 short texts are 20-300 ms of work: long enough that the commit's round trips don't
    # count, short enough to finish inside every deadline below.
    max_batch: PositiveInt = Field(5000, description="Most events in one transaction.")
    # A batch is at most this much text plus its results; it bounds memory whatever the texts.
    prefetch_kib: PositiveInt = Field(
        16384, ge=64, description="Most input that is fetched ahead, in KiB."
    )
    # Reviews are 1-6 KiB and the longest of IMDB 14 KiB; 64 KiB takes them and bounds a batch.
    max_event_bytes: PositiveInt = Field(
        65536,
        description="Largest event that is classified, in bytes; larger ones are dead letters.",
    )
    # As events ask: an explanation is longer than the rest of its result, and often than its text.
    explain: Literal["asked", "always", "never"] = Field(
        "asked",
        description="Which results get an explanation: those whose event has `explain`, all, none.",
    )
    # A killed worker's open transaction hides later results from readers for as long as this.
    transaction_timeout_s: PositiveFloat = Field(
        10.0,
        description="After this the brokers abort a transaction that was left open, in seconds.",
    )
    # Below the transaction's timeout, so that we give up before the brokers do it for us.
    commit_timeout_s: PositiveFloat = Field(
        8.0,
        description="How long a transaction may take, from its first record to the end of its"
        " commit or abort, in seconds.",
    )
    # Kubernetes gives 30 s between SIGTERM and SIGKILL; 20 leaves time for the rest of the pod.
    shutdown_timeout_s: PositiveFloat = Field(
        20.0, description="How long the open batch may take to end after SIGTERM, in seconds."
    )
    # Ten aborts with back-off take about half a minute: longer than a broker's restart.
    max_consecutive_aborts: PositiveInt = Field(
        10,
        description="Transactions in a row that were aborted, although the brokers answered, after"
        " which the worker exits.",
    )
    # Nine of ten: one bad producer among many passes, a wrong format of all of them does not.
    dead_letter_max_share: Share = Field(
        0.9,
        description="Share of dead letters in a window above which the worker stops; 1: never.",
    )
    # Ten thousand: a burst of garbage ends before it, a topic that is all garbage does not.
    dead_letter_window: PositiveInt = Field(
        10_000, description="Number of latest events that the share is taken over."
    )
    # A stream that goes on is worth more than events that nobody can bring back.
    expired: Literal["go_on", "stop"] = Field(
        "go_on",
        description="What happens when the topic's retention deleted events before they were read:"
        " `go_on` counts and logs them, `stop` ends the worker before it commits anything behind"
        " them.",
    )
    # Nothing by default: what can't be read is passed over where a person says so, never else.
    skip_batches: str = Field(
        "",
        pattern=rf"^({_BATCH}(,{_BATCH})*)?$",
        description="Batches that can't be read and are passed over, with a dead letter for each:"
        " `TOPIC:PARTITION:FIRST-LAST`, with the offsets that the worker's log names; several with"
        " commas between them. One that can be read, or ends elsewhere, is not passed over.",
    )
    # Ten minutes: far above the slowest honest batch, far below a night without results.
    stuck_timeout_s: PositiveFloat = Field(
        600.0, description="Without progress for this long, liveness fails, in seconds."
    )
    http_host: str = Field(
        "127.0.0.1", description="Address of `/metrics`, `/livez`, `/readyz`; in a pod `0.0.0.0`."
    )
    http_port: int = Field(
        9464, ge=0, le=65535, description="Their port; 0: any free one, named in the log."
    )

    @model_validator(mode="after")
    def _commits_end_before_the_brokers_end_them(self) -> Self:
        if self.commit_timeout_s > self.transaction_timeout_s:
            raise ValueError("WORKER_COMMIT_TIMEOUT_S is above WORKER_TRANSACTION_TIMEOUT_S")
        return self


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
        """The section of a kind, such as an app's own; see `Section`."""
        section: Kind = self._sections.get(kind) or self._sections.setdefault(kind, kind())
        return section

    def use(self, section: Section) -> None:
        """Take a section instead of what the environment says."""
        self._sections[type(section)] = section

    def __copy__(self) -> Self:
        copied = type(self)()
        for section in self._sections.values():
            copied.use(section)
        return copied
