"""Whether the brokers let us in and let us do things, as sentences for people.

librdkafka tries again for ever and tells each failure to callbacks only, so that a wrong password
looks like a broker that doesn't answer. Each client has an `Access`, which listens to both.
"""

import logging
import re
import time
from concurrent.futures import Future
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata

from sentiment import logs, metrics
from sentiment.errors import BrokerError, RefusedError, UnreachableError
from sentiment.settings import KafkaSettings

log = logs.get(__name__)

Answer = TypeVar("Answer")

# librdkafka logs each lost connection at error level and then mends it; an operator wants its
# warnings under a name of their own that can be silenced.
_librdkafka = logging.getLogger("librdkafka")

# A refused client tries again several times a second; an operator reads it once.
QUIET_S = 30.0
# How often one that waits for a first answer looks whether it was refused meanwhile.
LOOK_S = 0.5
# Between two questions that fail at once.
PAUSE_S = 0.1

# What a listener that speaks something else does to a connection before it has carried anything. A
# broker that is stopping does it too, so that it ends no wait; one that hangs lets them time out.
CLOSED = re.compile(
    r"(?=.*(isconnected|onnection reset|closed by peer))"
    r".*(in state APIVERSION_QUERY|in state SSL_HANDSHAKE|SSL connection closed by peer)"
)

# Waiting mends these: a broker is away, hangs, restarts, or hands over to another one.
PASSING = frozenset({
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 - the only names of librdkafka's own errors
    KafkaError._MSG_TIMED_OUT,  # noqa: SLF001 - same
    KafkaError._RESOLVE,  # noqa: SLF001 - same
    KafkaError._TIMED_OUT,  # noqa: SLF001 - same
    KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001 - same
    KafkaError._TRANSPORT,  # noqa: SLF001 - same
    KafkaError._WAIT_COORD,  # noqa: SLF001 - same
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.CONCURRENT_TRANSACTIONS,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.UNSTABLE_OFFSET_COMMIT,
})  # fmt: skip
# Waiting mends none of these.
FORBIDDEN = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}

CREDENTIALS = (
    "Check KAFKA_SASL_MECHANISM and the user and password, or the token's server and secret, in"
    " the environment or in SENTIMENT_SECRETS_DIR."
)
TLS = (
    "Check KAFKA_SECURITY_PROTOCOL, KAFKA_SSL_CA_LOCATION, and KAFKA_SSL_CERTIFICATE_LOCATION"
    " where the brokers ask for a certificate."
)


class Access:
    """Listens to one client: `told` is its `error_cb`, and this object its logger.

    Args:
        settings: How the client reaches Kafka.

    Attributes:
        refusal: Why the brokers don't let the client in, once it is known.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._servers = settings.bootstrap_servers
        self._said_at = -QUIET_S
        self._closed = ""
        self.refusal: RefusedError | None = None

    def log(self, level: int, line: str, *parts: object) -> None:
        """Pass a line of librdkafka on.

        A connection that a broker closes at once, as one with TLS does to a client without, is told
        in no other way.
        """
        _librdkafka.log(level, line, *parts)
        # What happened last is what it is now: a broker that only restarted is refused next.
        if parts[0] == "FAIL":
            said = str(parts[-1])
            self._closed = _reason(said) if CLOSED.search(said) else ""

    def told(self, error: KafkaError) -> None:
        """Take an error in that concerns the whole client."""
        said = error.str()
        if error.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001 - its only name
            kind, hint = "credentials", CREDENTIALS
        elif error.code() == KafkaError._SSL or "SSL alert" in said:  # noqa: SLF001 - same
            kind, hint = "tls", TLS
        else:
            return
        what = "refuse our credentials" if kind == "credentials" else "and we don't agree on TLS"
        sentence = f"The brokers at {self._servers} {what}: {_reason(said)}."
        self.refusal = RefusedError(sentence, hint)
        metrics.REFUSALS.labels(kind).inc()
        if time.monotonic() - self._said_at > QUIET_S:
            # A worker goes on: brokers that restart, or a password that is being changed.
            self._said_at = time.monotonic()
            log.error("brokers refuse us", kind=kind, reason=self.refusal.message, hint=hint)

    def unreachable(self, error: KafkaException) -> BrokerError:
        """The error for a Kafka that doesn't answer, or for a right that we lack."""
        cause = error.args[0]
        if isinstance(cause, KafkaError) and (denied := forbidden(cause)):
            return denied
        if self.refusal:
            return self.refusal
        if self._closed:
            return UnreachableError(
                f"The brokers at {self._servers} close each connection at once: {self._closed}.",
                "They are on their way up or down; or else one of us speaks TLS or SASL and the"
                f" other doesn't. {TLS}",
            )
        reason = cause.str() if isinstance(cause, KafkaError) else str(cause)
        if isinstance(cause, KafkaError) and cause.code() > 0:
            # Kafka's own codes are above 0, those of its client below.
            return UnreachableError(
                f"The brokers at {self._servers} can't do it now: {reason}.",
                "They may be starting, or electing leaders; see whether all of them are up.",
            )
        return UnreachableError(
            f"No Kafka broker answers at {self._servers}: {reason}.",
            "Start one with `sentiment kafka`, or set KAFKA_BOOTSTRAP_SERVERS to a running one.",
        )

    def answer(self, client: AdminClient, asked: Future[Answer], timeout_s: float) -> Answer:
        """What an admin client was asked for.

        Args:
            client: The client that this listens to.
            asked: Its question, with this time limit of its own.
            timeout_s: Longest wait, in seconds.

        Raises:
            KafkaException: The brokers' error.
            BrokerError: Nobody answers, or they refuse us, which is told at once.
        """
        # The question's own limit comes first, and with a reason.
        deadline = time.monotonic() + 2 * timeout_s
        while True:
            try:
                return result_of(asked, LOOK_S)
            except TimeoutError:
                # What callbacks have to say comes with a poll.
                client.poll(0)
            if self.refusal or time.monotonic() > deadline:
                timed_out = KafkaError(KafkaError._TIMED_OUT)  # noqa: SLF001 - its only name
                raise self.unreachable(KafkaException(timed_out))

    def first_answer(
        self, client: AdminClient | Consumer, timeout_s: float, topic: str | None = None
    ) -> ClusterMetadata:
        """Which topics there are; the first question to ask a cluster.

        Args:
            client: The client that this listens to; a consumer that reads nothing yet.
            timeout_s: Longest wait, in seconds.
            topic: Only this topic; None: all.

        Raises:
            BrokerError: Nobody answers, or they refuse us, which is told at once.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(deadline - time.monotonic(), PAUSE_S)
            try:
                wait_s = min(LOOK_S, left)
                # None isn't taken for "all".
                answer = (
                    client.list_topics(timeout=wait_s)
                    if topic is None
                    else client.list_topics(topic, timeout=wait_s)
                )
            except KafkaException as error:
                # What callbacks have to say comes with a poll.
                client.poll(PAUSE_S)
                if self.refusal or time.monotonic() > deadline:
                    raise self.unreachable(error) from None
            else:
                # Whoever was refused before has been let in since.
                self.refusal = None
                return answer


def result_of(asked: "Future[Answer]", timeout_s: float) -> Answer:
    """What an admin client was asked for, for this long.

    The future's own `result` raises the error that the future holds, in a frame that holds the
    future: with its client, that would stay until the garbage collector comes, and that seldom is.

    Raises:
        KafkaException: The brokers' error.
        TimeoutError: There is no answer yet.
    """
    failed = asked.exception(timeout_s)
    if failed is not None:
        raise KafkaException(*failed.args)
    return asked.result()


def _reason(said: str) -> str:
    """What librdkafka says, without the addresses before it and the times behind it."""
    return re.sub(r"^(\S+/(bootstrap|\d+)\]?: )+| \(after .*$", "", said)


def is_passing(error: KafkaError) -> bool:
    """Whether an error is about brokers that are away, so that waiting may mend it."""
    return error.code() in PASSING or error.retriable()


def forbidden(error: KafkaError) -> BrokerError | None:
    """The sentence for a right that we lack; None where the error is about something else."""
    if error.code() not in FORBIDDEN:
        return None
    return BrokerError(
        f"The brokers know us and don't allow this: {error.str()}.",
        "docs/operations.md lists the rights that each part needs; grant the one that is missing.",
    )
