"""Coming in: passwords, tokens, certificates, and what is said when they are wrong."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Message

from sentiment.apps import Right
from sentiment.kafka import clients
from sentiment.kafka.reader import Follower
from sentiment.settings import KafkaSettings, Settings
from tests.integration.commands import PATIENCE_S, sentiment
from tests.integration.secure_kafka import SecureKafka

pytestmark = pytest.mark.kafka

SEE_EVENTS = Right("page", "READ", "topic", "TOPICS_EVENTS")
# Nobody waits as long: what ends before it was told at once.
NEVER_S = "3600"
WRONG = "hunter2-hunter2"


@pytest.fixture(scope="module")
def bootstrap_servers(secure_broker: SecureKafka) -> str:
    """The topics of these tests are made past all doors."""
    return secure_broker.bootstrap_servers


@pytest.fixture
def granted(secure_broker: SecureKafka, settings: Settings) -> Iterator[None]:
    """The user `page` may see the test's own events topic, and nothing else."""
    secure_broker.grant("page", [SEE_EVENTS], settings)
    yield
    secure_broker.withdraw("page")


def apply(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """Make these the settings of this process."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def wait_for_topics(settings: Settings) -> set[str]:
    """The topics that we see, once there are any: a new right takes a moment to be known."""
    deadline = time.monotonic() + PATIENCE_S
    while not (names := set(clients.describe_cluster(settings.kafka).topics)):
        assert time.monotonic() < deadline
    return names


@pytest.mark.usefixtures("granted")
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
def test_each_mechanism_proves_who_we_are(
    mechanism: str,
    secure_broker: SecureKafka,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By password or token we are the user who may see one topic, and see that one."""
    apply(monkeypatch, secure_broker.environment(mechanism, "page"))
    assert wait_for_topics(Settings()) == {settings.topics.events}


@pytest.mark.usefixtures("granted")
def test_a_certificate_proves_who_we_are(
    secure_broker: SecureKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brokers that ask for a client's certificate know us by it."""
    apply(monkeypatch, secure_broker.certificate_environment("page"))
    assert wait_for_topics(Settings()) == {settings.topics.events}


@pytest.mark.usefixtures("granted")
def test_secrets_from_files_open_the_door(
    secure_broker: SecureKafka,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """User and password may lie in files, as a cluster mounts them, and not in the environment."""
    environment = secure_broker.environment("SCRAM-SHA-512", "page")
    for name in ("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"):
        (tmp_path / name.lower()).write_text(environment.pop(name) + "\n")
    apply(monkeypatch, {**environment, "SENTIMENT_SECRETS_DIR": str(tmp_path)})
    assert wait_for_topics(Settings()) == {settings.topics.events}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
@pytest.mark.parametrize("command", [["topics", "--check"], ["results"]], ids=lambda c: c[0])
def test_a_wrong_secret_is_told_at_once(
    mechanism: str, command: list[str], secure_broker: SecureKafka
) -> None:
    """A wrong password or client secret ends a command with that reason; nobody waits it out."""
    name = "KAFKA_OAUTH_CLIENT_SECRET" if mechanism == "OAUTHBEARER" else "KAFKA_SASL_PASSWORD"
    environment = secure_broker.environment(mechanism, "page", **{name: WRONG})
    done = sentiment(*command, **environment, KAFKA_CONNECT_TIMEOUT_S=NEVER_S, LOG_LEVEL="DEBUG")
    assert done.returncode == 1
    assert "refuse our credentials" in done.stderr
    assert "KAFKA_SASL_MECHANISM" in done.stderr
    assert WRONG not in done.stderr + done.stdout


@pytest.mark.parametrize("missing", ["KAFKA_SSL_CA_LOCATION", "KAFKA_SSL_CERTIFICATE_LOCATION"])
def test_certificates_that_do_not_fit_are_told_at_once(
    missing: str, secure_broker: SecureKafka
) -> None:
    """An authority that we don't know, and a certificate that we lack, end a command so."""
    environment = secure_broker.certificate_environment("page") | {missing: ""}
    if missing == "KAFKA_SSL_CERTIFICATE_LOCATION":
        environment["KAFKA_SSL_KEY_LOCATION"] = ""
    done = sentiment("topics", "--check", **environment, KAFKA_CONNECT_TIMEOUT_S=NEVER_S)
    assert done.returncode == 1
    assert "agree on TLS" in done.stderr
    assert missing in done.stderr


@pytest.mark.parametrize("ours", ["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL"])
def test_tls_on_one_side_only_is_told(ours: str, secure_broker: SecureKafka) -> None:
    """We with TLS and the brokers without, or the other way round: no "no broker answers"."""
    environment = secure_broker.environment("PLAIN", "page", KAFKA_SECURITY_PROTOCOL=ours)
    if ours == "PLAINTEXT":
        environment["KAFKA_SASL_MECHANISM"] = ""
    if ours == "SASL_SSL":
        environment["KAFKA_BOOTSTRAP_SERVERS"] = secure_broker.bootstrap_servers
    done = sentiment("topics", "--check", **environment, KAFKA_CONNECT_TIMEOUT_S=10)
    assert done.returncode == 1
    assert "close each connection at once" in done.stderr
    assert "KAFKA_SECURITY_PROTOCOL" in done.stderr


def test_the_page_says_that_it_is_refused(
    secure_broker: SecureKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page with a wrong password shows why it reads nothing, and goes on trying."""
    refused = secure_broker.environment("SCRAM-SHA-512", "page", KAFKA_SASL_PASSWORD=WRONG)
    apply(monkeypatch, {**refused, "KAFKA_CONNECT_TIMEOUT_S": NEVER_S})
    taken: list[Message] = []
    follower = Follower(KafkaSettings(), "anything", 0, taken.extend)
    follower.start()
    deadline = time.monotonic() + PATIENCE_S
    while "refuse our credentials" not in follower.trouble:
        assert time.monotonic() < deadline, follower.trouble
        time.sleep(0.05)
    assert follower.is_alive()
    follower.stop()
    follower.join(PATIENCE_S)
    assert WRONG not in follower.trouble
