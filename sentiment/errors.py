"""The error tree.

Every failure that a person can act on is a `SentimentError`: one sentence and a hint. The command
line prints both, without a traceback, and exits with the class's `exit_code`.

```
SentimentError                 1
├── SettingsError              2   a setting is missing or wrong
├── InputError                 2   a file, argument or stream that the user gave is unusable
├── SetupError                 1   this machine lacks something: a port, disk space, the network
├── BrokerError                1   Kafka doesn't do what we need of it
│   ├── UnreachableError       1   it doesn't answer now; what can wait waits
│   │   └── RefusedError       1   it closes our connections: credentials, or TLS
│   └── TopicError             1   a topic is missing or differs from what the code needs
├── ModelError                 1
│   ├── ModelNotFoundError     1   the registry has no such model
│   │   ├── AliasMissingError  1   it has the model, and no such alias of it
│   │   └── VersionMissingError 1  it has the model, and no such version of it
│   ├── ModelRefusedError      1   the artifact failed a check; it is never served
│   │   └── ArtifactMissingError 1 its store lacks files of the artifact
│   └── RegistryUnavailableError 1 the registry doesn't answer
│       ├── RegistryDeniedError 1  it answers, and refuses us
│       └── StoreUnavailableError 1 it answers, and its store of artifacts doesn't
└── WorkerError                1
    ├── FencedError            3   another worker took over our transactional id
    ├── TransactionError       4   transactions keep failing; the batch was not committed
    ├── TooManyDeadLettersError 5  too large a share of the input is bad
    └── ExpiredError           6   events were deleted before they were read
```

A bad event on the topic is no `SentimentError`: it is data, described by
`sentiment.wire.EventError`, and ends as a dead letter.
"""


class SentimentError(Exception):
    """A failure told to a person: what went wrong and where, and what to do if that isn't said."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SettingsError(SentimentError):
    """A setting is missing or has a value that it can't have."""

    exit_code = 2


class InputError(SentimentError):
    """A file, argument or stream that the user gave can't be used."""

    exit_code = 2


class SetupError(SentimentError):
    """This machine lacks something: a free port, disk space, the network."""


class BrokerError(SentimentError):
    """Kafka doesn't do what we need of it."""


class UnreachableError(BrokerError):
    """Kafka doesn't answer now."""


class RefusedError(UnreachableError):
    """Kafka closes our connections: credentials, or TLS."""


class TopicError(BrokerError):
    """A topic is missing or differs from what the code needs."""


class ModelError(SentimentError):
    """Something about the model."""

    # What it is, for programs: the label of `sentiment_registry_errors_total`.
    reason = "other"


class ModelNotFoundError(ModelError):
    """The registry has no such model."""

    reason = "model_missing"


class AliasMissingError(ModelNotFoundError):
    """The registry has the model, and no such alias of it."""

    reason = "alias_missing"


class VersionMissingError(ModelNotFoundError):
    """The registry has the model, and no such version of it, or no longer."""

    reason = "version_missing"


class ModelRefusedError(ModelError):
    """The artifact failed a check and is never served."""


class ArtifactMissingError(ModelRefusedError):
    """The registry has the version, and its store lacks files of the artifact."""

    reason = "artifact_missing"


class RegistryUnavailableError(ModelError):
    """The registry doesn't answer."""

    reason = "unavailable"


class RegistryDeniedError(RegistryUnavailableError):
    """The registry answers, and refuses us."""

    reason = "denied"


class StoreUnavailableError(RegistryUnavailableError):
    """The registry answers, and its store of artifacts doesn't."""

    reason = "store_unavailable"


class WorkerError(SentimentError):
    """The worker can't go on."""


class FencedError(WorkerError):
    """Another worker took over our transactional id."""

    exit_code = 3


class TransactionError(WorkerError):
    """Transactions keep failing; nothing of the last batch was committed."""

    exit_code = 4


class TooManyDeadLettersError(WorkerError):
    """Too large a share of the input is bad: stop rather than drain the topic."""

    exit_code = 5


class ExpiredError(WorkerError):
    """Events were deleted before they were read: stop rather than go on without them."""

    exit_code = 6
