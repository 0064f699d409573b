"""librdkafka clients from settings: one place for every property that we set, with its reason."""

import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata

from sentiment import logs, metrics
from sentiment.errors import BrokerError, RefusedError, SettingsError, UnreachableError
from sentiment.settings import KafkaSettings

log = logs.get(__name__)

Answer = TypeVar("Answer")
Client = TypeVar("Client")
Config = dict[str, Any]

# A name of its own that can be silenced: it logs lost connections as errors, and then mends them.
_librdkafka = logging.getLogger("librdkafka")

# A refused client tries again several times a second; an operator reads it once.
QUIET_S = 30.0
# How often one that waits for a first answer checks whether it was refused meanwhile.
CHECK_S = 0.5
# Between two questions that fail at once.
PAUSE_S = 0.1

# What a listener that speaks something else does to a connection before it has carried anything. A
# broker that is stopping does it too, so that it ends no wait; one that hangs lets them time out.
CLOSED = re.compile(
    r"(?=.*(isconnected|onnection reset|closed by peer))"
    r".*(in state APIVERSION_QUERY|in state SSL_HANDSHAKE|SSL connection closed by peer)"
)

# Transient: a broker is down, hangs, restarts, or another one becomes leader.
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
# Permanent: waiting doesn't help.
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
    """Whether the brokers let a client in, as sentences for people.

    librdkafka tries again for ever and tells each failure to callbacks only, so that a wrong
    password looks like a broker that doesn't answer. `told` is the client's `error_cb`, and this
    object its logger.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._servers = settings.bootstrap_servers
        self._said_at = -QUIET_S
        self._closed = ""
        # Why the brokers don't let the client in, once it is known.
        self.refusal: RefusedError | None = None

    def log(self, level: int, line: str, *parts: object) -> None:
        """Pass a line on; nothing else tells of a broker that closes a connection at once."""
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
        """What the client was asked for, by a question with this time limit of its own, in seconds.

        The brokers' own error is a `KafkaException`; a refusal is told at once.
        """
        # The question's own limit comes first, and with a reason.
        deadline = time.monotonic() + 2 * timeout_s
        while True:
            try:
                return result_of(asked, CHECK_S)
            except TimeoutError:
                # What callbacks have to say comes with a poll.
                client.poll(0)
            if self.refusal or time.monotonic() > deadline:
                timed_out = KafkaError(KafkaError._TIMED_OUT)  # noqa: SLF001 - its only name
                raise self.unreachable(KafkaException(timed_out))

    def first_answer(
        self, client: AdminClient | Consumer, timeout_s: float, topic: str | None = None
    ) -> ClusterMetadata:
        """Which topics there are, all or this one; the first question to ask a cluster.

        A consumer reads nothing yet, as what it is polled for is lost. A refusal is told at once.
        """
        deadline = time.monotonic() + timeout_s
        # None isn't taken for "all".
        ask = client.list_topics if topic is None else partial(client.list_topics, topic)
        while True:
            wait_s = min(CHECK_S, max(deadline - time.monotonic(), PAUSE_S))
            try:
                answer = ask(timeout=wait_s)
            except KafkaException as error:
                # What callbacks have to say comes with a poll.
                client.poll(PAUSE_S)
                if self.refusal or time.monotonic() > deadline:
                    raise self.unreachable(error) from None
            else:
                # A client that was refused before has been accepted since.
                self.refusal = None
                return answer


def result_of(asked: "Future[Answer]", timeout_s: float) -> Answer:
    """What an admin client was asked for; waits for so many seconds.

    The future's own `result` raises its error in a frame that holds the future: with its client,
    that would stay until the garbage collector comes, and that seldom is.

    Raises:
        KafkaException: The brokers' error.
        TimeoutError: There is no answer yet.
    """
    if failed := asked.exception(timeout_s):
        raise KafkaException(*failed.args)
    return asked.result()


def _reason(said: str) -> str:
    """What librdkafka says, without the addresses before it and the times behind it."""
    return re.sub(r"^(\S+/(bootstrap|\d+)\]?: )+| \(after .*$", "", said)


def is_passing(error: KafkaError) -> bool:
    """Whether an error is about brokers that are down, so that waiting may help."""
    return error.code() in PASSING or error.retriable()


def forbidden(error: KafkaError) -> BrokerError | None:
    """The sentence for a right that we lack; None where the error is about something else."""
    if error.code() not in FORBIDDEN:
        return None
    return BrokerError(
        f"The brokers know us and don't allow this: {error.str()}.",
        "docs/operations.md lists the rights that each part needs; grant the one that is missing.",
    )


# Of what we write: twice the largest event by default, as dead letters have headers on top of it.
MAX_MESSAGE_BYTES = 2 * 1024 * 1024


def new_admin(settings: KafkaSettings, access: Access | None = None) -> AdminClient:
    """A client for topics and the cluster, with a listener of its own unless one is given."""
    return _made(AdminClient, settings, access, {}, {})


def new_consumer(
    settings: KafkaSettings,
    access: Access | None = None,
    **properties: Any,  # noqa: ANN401 - librdkafka's types
) -> Consumer:
    """A consumer of committed records; properties are librdkafka's, with `_` for `.`."""
    config = {
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        # The broker answers as soon as there is anything: latency before round trips.
        "fetch.min.bytes": 1,
        "fetch.wait.max.ms": 100,
        # The bytes of its queue, the client counts by values alone; keys and headers may have a
        # megabyte each. So it fetches again only when no more records than these are left.
        "queued.min.messages": 20,
        # A full queue is checked again; a second, its default, would be a pause at each answer.
        "fetch.queue.backoff.ms": 5,
    }
    return _made(Consumer, settings, access, config, properties)


def new_producer(
    settings: KafkaSettings,
    access: Access | None = None,
    **properties: Any,  # noqa: ANN401 - librdkafka's types
) -> Producer:
    """A producer that neither loses nor doubles anything; properties as of a consumer."""
    config: Config = {
        "enable.idempotence": True,
        "acks": "all",
        # Texts shrink to a third, at a cost that the saved network time pays back.
        "compression.type": "lz4",
        "message.max.bytes": MAX_MESSAGE_BYTES,
        # Waiting this long fills batches under load and can't be seen by a person.
        "linger.ms": 5,
    }
    if "transactional_id" not in properties:
        # Of a partition that a broker has nothing of yet, it takes a second batch before the first
        # one that it refused while it was becoming the leader, and that one, sent again, for a
        # duplicate: lost, but reported as delivered. A transaction prevents that.
        config["max.in.flight.requests.per.connection"] = 1
    return _made(Producer, settings, access, config, properties)


def describe_cluster(settings: KafkaSettings) -> ClusterMetadata:
    """Ask the cluster who it is and which topics it has."""
    access = Access(settings)
    return access.first_answer(new_admin(settings, access), settings.connect_timeout_s)


def unreachable(settings: KafkaSettings, error: KafkaException) -> BrokerError:
    """The sentence for a Kafka that doesn't answer, or doesn't let us ask."""
    return Access(settings).unreachable(error)


def _made(
    kind: Callable[..., Client],
    settings: KafkaSettings,
    access: Access | None,
    config: Config,
    dotted: Config,
) -> Client:
    access = access or Access(settings)
    config = {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": "sentiment-stream",
        # A broker that restarts is back in seconds; the default waits up to ten between tries.
        "reconnect.backoff.max.ms": 2000,
        **security_config(settings),
        **config,
        **{name.replace("_", "."): value for name, value in dotted.items()},
        **settings.config,
        "error_cb": access.told,
    }
    try:
        return kind(config, logger=access)
    except KafkaException as error:
        raise SettingsError(
            f"Kafka's client refuses its configuration: {error.args[0].str()}.",
            "Look at the KAFKA_ settings, KAFKA_CONFIG above all.",
        ) from None


def security_config(settings: KafkaSettings) -> Config:
    """The properties of SASL and TLS; what a mechanism needs is there, by the settings' checks."""
    config: Config = {
        "security.protocol": settings.security_protocol,
        "ssl.ca.location": settings.ssl_ca_location,
        "ssl.certificate.location": settings.ssl_certificate_location,
        "ssl.key.location": settings.ssl_key_location,
        "ssl.key.password": settings.ssl_key_password.get_secret_value(),
    }
    if settings.security_protocol.startswith("SASL_"):
        config["sasl.mechanism"] = settings.sasl_mechanism
        if settings.sasl_mechanism == "AWS_MSK_IAM":
            config["sasl.mechanism"] = "OAUTHBEARER"
            config["oauth_cb"] = msk_tokens(settings.msk_region)
        elif settings.sasl_mechanism == "OAUTHBEARER":
            config["sasl.oauthbearer.method"] = "oidc"
            config["sasl.oauthbearer.token.endpoint.url"] = settings.oauth_token_url
            config["sasl.oauthbearer.client.id"] = settings.oauth_client_id
            secret = settings.oauth_client_secret.get_secret_value()
            config["sasl.oauthbearer.client.secret"] = secret
            config["sasl.oauthbearer.scope"] = settings.oauth_scope
        elif settings.sasl_mechanism:
            config["sasl.username"] = settings.sasl_username
            config["sasl.password"] = settings.sasl_password.get_secret_value()
    return {name: value for name, value in config.items() if value}


def msk_tokens(region: str) -> Callable[[str], tuple[str, float]]:
    """Tokens that say which AWS identity we are, for `oauth_cb`; made without a call.

    The identity is found as AWS's own tools find it: the environment, a profile, the role of the
    pod or machine. A token's end is in seconds since 1970.

    Raises:
        SettingsError: There is no identity.
        ModuleNotFoundError: The extra `msk` isn't installed.
    """
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
    from botocore.session import Session

    # Asked now: the client would wait ten seconds for a token and then not say why it has none.
    if Session().get_credentials() is None:
        raise SettingsError(
            "AWS_MSK_IAM finds no AWS identity: no keys, no profile and no role.",
            "Give the pod or machine a role, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY.",
        )

    def token(config: str) -> tuple[str, float]:
        del config
        try:
            signed, ends_ms = MSKAuthTokenProvider.generate_auth_token(region)
        except Exception:
            # The client drops what a callback raises.
            log.exception("no token for AWS_MSK_IAM", region=region)
            raise
        return signed, ends_ms / 1000

    return token
