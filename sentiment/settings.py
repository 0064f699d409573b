"""One typed tree of settings, read from the environment.

Each section has its own prefix, so that names stay those that operators know
(`KAFKA_BOOTSTRAP_SERVERS`, `MLFLOW_TRACKING_URI`). Secrets may come from files instead: a file
named after the variable in the directory that `SENTIMENT_SECRETS_DIR` names. Each description
here is the row of `docs/operations.md`; above each number stands why it is that number.
"""

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as NotJsonError

from sentiment.errors import SettingsError

Share = Annotated[float, Field(gt=0, le=1)]
# What Kafka allows as the name of a topic.
TopicName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")]


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
            lines = [_sentence(prefix, e["loc"], e["msg"]) for e in wrong]
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


def _sentence(prefix: str, place: tuple[int | str, ...], message: str) -> str:
    """What is wrong with a variable; a rule about two of them names both itself."""
    if not place:
        return message.removeprefix("Value error, ")
    return f"{prefix}{'.'.join(map(str, place))}".upper() + f": {message}"


class LogSettings(Section):
    """How logs look."""

    model_config = SettingsConfigDict(env_prefix="LOG_")

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="The least severe level that is logged."
    )
    format: Literal["auto", "json"] = Field(
        "auto", description="`auto`: coloured on a terminal, else JSON. `json`: always JSON."
    )


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


class ModelSettings(Section):
    """Which model is served and where copies of it are kept."""

    model_config = SettingsConfigDict(env_prefix="MODEL_", protected_namespaces=())

    uri: str = Field(
        "models:/sentiment@champion",
        pattern=r"^models:/[^/@]+(@[^/@]+|/\d+)$",
        description="The model: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.",
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
    # Reviews are 1-6 KiB and the longest of IMDB 14 KiB; 64 KiB leaves room and bounds a batch.
    max_event_bytes: PositiveInt = Field(
        65536,
        description="Largest event that is classified, in bytes; larger ones are dead letters.",
    )
    # A killed worker's open transaction hides later results from readers for as long as this.
    transaction_timeout_s: PositiveFloat = Field(
        10.0,
        description="After this the brokers abort a transaction that was left open, in seconds.",
    )
    # Below the transaction's timeout, so that we give up before the brokers do it for us.
    commit_timeout_s: PositiveFloat = Field(
        8.0, description="How long one step of a commit may take, in seconds."
    )
    # Kubernetes gives 30 s between SIGTERM and SIGKILL; 20 leaves room for the rest of the pod.
    shutdown_timeout_s: PositiveFloat = Field(
        20.0, description="How long the open batch may take to end after SIGTERM, in seconds."
    )
    # Ten aborts with back-off take about half a minute: longer than a broker's restart.
    max_consecutive_aborts: PositiveInt = Field(
        10, description="Aborted transactions in a row after which the worker exits."
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


class WebSettings(Section):
    """The page and its API."""

    model_config = SettingsConfigDict(env_prefix="WEB_")

    host: str = Field("127.0.0.1", description="Address to listen on; in a pod `0.0.0.0`.")
    port: int = Field(5000, ge=1, le=65535, description="Port to listen on.")
    # Each open feed holds one thread; 256 sleeping threads cost about 10 MB.
    threads: PositiveInt = Field(256, description="Requests, open feeds among them, at one time.")
    # 50,000 results of about 300 bytes are 15 MB: minutes of a busy page's traffic.
    recent_results: PositiveInt = Field(
        50_000, description="Latest results that can be read back by id."
    )
    # Long enough to open the page after a restart and still find one's own results.
    recent_minutes: PositiveInt = Field(
        10, description="Minutes of results that are read back at a start."
    )
    # Above a person's patience, below every proxy's own limit.
    max_wait_s: PositiveFloat = Field(
        30.0, description="Longest that a request may wait for a result, in seconds."
    )
    max_batch: PositiveInt = Field(1000, description="Most events in one request.")
    # A thousand texts of a tweet's length, with room; bounds what one request can hold.
    max_request_bytes: PositiveInt = Field(1_048_576, description="Largest request, in bytes.")


class LocalSettings(Section):
    """Kafka and the demo on this machine."""

    model_config = SettingsConfigDict(env_prefix="LOCAL_")

    cache_dir: Path = Field(
        Path.home() / ".cache" / "sentiment-stream",
        description="Where Apache Kafka's jars are kept; about 100 MB.",
    )
    data_dir: Path = Field(
        Path.home() / ".local" / "share" / "sentiment-stream",
        description="Where the local Kafka and the demo keep their data between starts.",
    )


class Settings:
    """The whole tree; each section is read from the environment when first used."""

    @cached_property
    def kafka(self) -> KafkaSettings:
        """How to reach Kafka."""
        return KafkaSettings()

    @cached_property
    def topics(self) -> TopicSettings:
        """Names and shapes of the topics."""
        return TopicSettings()

    @cached_property
    def model(self) -> ModelSettings:
        """Which model is served."""
        return ModelSettings()

    @cached_property
    def worker(self) -> WorkerSettings:
        """The worker's own settings."""
        return WorkerSettings()

    @cached_property
    def web(self) -> WebSettings:
        """The page's own settings."""
        return WebSettings()

    @cached_property
    def local(self) -> LocalSettings:
        """Kafka and the demo on this machine."""
        return LocalSettings()
