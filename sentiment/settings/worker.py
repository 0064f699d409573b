"""The worker, and the model that it serves."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from pydantic_settings import SettingsConfigDict

from sentiment.settings.section import Section

Share = Annotated[float, Field(gt=0, le=1)]
ShareOrNothing = Annotated[float, Field(ge=0, le=1)]
# A batch of a partition, by its first and last offset.
_BATCH = r"[\w.-]+:\d{1,9}:\d{1,18}-\d{1,18}"
# What MLflow calls the address of a model.
ModelUri = Annotated[str, Field(pattern=r"^models:/[^/@]+(@[^/@]+|/\d+)$")]


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
    # Reviews are 1-6 KiB and the longest of IMDB 14 KiB; 64 KiB leaves room and bounds a batch.
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
    # Kubernetes gives 30 s between SIGTERM and SIGKILL; 20 leaves room for the rest of the pod.
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
