"""Claims about how clients are set up, and which topics there are."""

import base64
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from confluent_kafka import KafkaError

from sentiment.errors import SettingsError
from sentiment.kafka import clients, topics
from sentiment.kafka.clients import Access, msk_tokens, security_config
from sentiment.settings import KafkaSettings, Settings, TopicSettings
from stream_worker.trends.settings import TrendsSettings

# librdkafka's numbers for them, whose names are private.
AUTHENTICATION, TRANSPORT, ALL_BROKERS_DOWN = -169, -195, -187
# As pydantic takes them from the environment: any string.
USER: dict[str, Any] = {"sasl_username": "ada", "sasl_password": "hunter2"}
TOKEN: dict[str, Any] = {"oauth_token_url": "https://id/token", "oauth_client_id": "ada"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"security_protocol": "SASL_SSL"}, "KAFKA_SASL_MECHANISM"),
        ({"sasl_mechanism": "PLAIN", **USER}, "KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
        ({"sasl_mechanism": "PLAIN"}, "KAFKA_SASL_USERNAME"),
        ({"sasl_mechanism": "SCRAM-SHA-512", "sasl_username": "ada"}, "KAFKA_SASL_PASSWORD"),
        ({"sasl_mechanism": "OAUTHBEARER", **TOKEN}, "KAFKA_OAUTH_CLIENT_SECRET"),
        ({"sasl_mechanism": "AWS_MSK_IAM"}, "KAFKA_MSK_REGION"),
        (
            {"sasl_mechanism": "AWS_MSK_IAM", "security_protocol": "SASL_PLAINTEXT"},
            "KAFKA_SECURITY_PROTOCOL=SASL_SSL",
        ),
        ({"security_protocol": "SSL", "ssl_ca_location": "/absent.pem"}, "KAFKA_SSL_CA_LOCATION"),
        (
            {"security_protocol": "SSL", "ssl_certificate_location": __file__},
            "KAFKA_SSL_KEY_LOCATION",
        ),
        (
            {"security_protocol": "SSL", "ssl_key_location": __file__},
            "KAFKA_SSL_CERTIFICATE_LOCATION",
        ),
    ],
)
def test_what_does_not_fit_together_is_named(given: dict[str, Any], named: str) -> None:
    """A setting that lacks another is refused with the other's name, and without a secret."""
    protocol: dict[str, Any] = (
        {} if named.startswith("KAFKA_SECURITY") else {"security_protocol": "SASL_SSL"}
    )
    with pytest.raises(SettingsError) as caught:
        KafkaSettings(**(protocol | given))
    assert named in caught.value.message
    assert "hunter2" not in caught.value.message


def test_properties_may_stand_in_the_table_instead() -> None:
    """A user that comes with KAFKA_CONFIG counts as given."""
    # pragma: allowlist nextline secret - of this test
    config = {"sasl.username": "ada", "sasl.password": "hunter2"}
    KafkaSettings(security_protocol="SASL_SSL", sasl_mechanism="PLAIN", config=config)


@pytest.fixture
def no_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's AWS set-up reaches the test, and nothing is asked."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "absent"))


@pytest.mark.usefixtures("no_identity")
def test_msk_tokens_are_signed_with_our_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is a signed request for `kafka-cluster:Connect` in the region, valid for a while."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    settings = KafkaSettings(
        security_protocol="SASL_SSL", sasl_mechanism="AWS_MSK_IAM", msk_region="eu-west-1"
    )
    config = security_config(settings)
    assert config["sasl.mechanism"] == "OAUTHBEARER"
    token, ends = config["oauth_cb"]("")
    address = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    query = parse_qs(address.query)
    assert address.hostname == "kafka.eu-west-1.amazonaws.com"
    assert query["Action"] == ["kafka-cluster:Connect"]
    assert query["X-Amz-Credential"][0].startswith("AKIAEXAMPLE/")
    assert query["X-Amz-Signature"][0]
    assert "hunter2" not in address.geturl()
    # Seconds since 1970 and not milliseconds.
    assert 1.7e9 < ends < 1e10


@pytest.mark.usefixtures("no_identity")
def test_msk_without_an_identity_is_a_sentence() -> None:
    """No keys, no profile and no role: told before any broker is asked."""
    with pytest.raises(SettingsError, match="no AWS identity"):
        msk_tokens("eu-west-1")


def test_msk_without_its_extra_names_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the signer isn't installed, its name is what the command line tells."""
    monkeypatch.setitem(sys.modules, "aws_msk_iam_sasl_signer", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        msk_tokens("eu-west-1")
    assert caught.value.name == "aws_msk_iam_sasl_signer"


def test_a_refusal_says_who_and_why() -> None:
    """Addresses and times of librdkafka's are left out of the sentence; the reason stays."""
    access = Access(KafkaSettings(bootstrap_servers="broker:9093"))
    said = (
        "sasl_ssl://broker:9093/bootstrap: SASL authentication error: nope (after 3ms in state X)"
    )
    access.told(KafkaError(AUTHENTICATION, said))
    assert access.refusal is not None
    assert access.refusal.message == (
        "The brokers at broker:9093 refuse our credentials: SASL authentication error: nope."
    )


def test_a_broker_that_is_away_is_no_refusal() -> None:
    """Lost connections are mended by librdkafka and say nothing about us."""
    access = Access(KafkaSettings())
    access.told(KafkaError(TRANSPORT, "Connection refused"))
    access.told(KafkaError(ALL_BROKERS_DOWN, "1/1 brokers are down"))
    assert access.refusal is None


# Outside of a transaction; what it is good for is shown by `make chaos`.
IN_FLIGHT = "max.in.flight.requests.per.connection"


@pytest.fixture
def configs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The properties of each producer that is made; the library does not tell them."""
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(clients, "Producer", lambda config, **_: made.append(config))
    return made


def test_outside_a_transaction_one_request_is_under_way(configs: list[dict[str, Any]]) -> None:
    """No batch gets past one that was refused; a transaction needs no such care."""
    clients.new_producer(KafkaSettings())
    clients.new_producer(KafkaSettings(), transactional_id="a")
    assert [config.get(IN_FLIGHT) for config in configs] == [1, None]


def test_what_people_set_wins(configs: list[dict[str, Any]]) -> None:
    """`KAFKA_CONFIG` is the last word, here as elsewhere."""
    clients.new_producer(KafkaSettings(config={IN_FLIGHT: 5}))
    assert configs[0][IN_FLIGHT] == 5


def test_every_named_topic_is_wanted() -> None:
    """Each name among the settings is a topic that is created and checked."""
    settings = Settings()
    numbers = {"partitions", "replication"}
    names = {
        getattr(settings.topics, field) for field in TopicSettings.model_fields.keys() - numbers
    }
    # Named after another, and no setting of their own.
    names |= {settings.topics.redriven, settings.of(TrendsSettings).windows}
    assert {topic.name for topic in topics.wanted(settings)} == names


def test_partitions_are_those_of_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results and dead letters have their event's partition; tallies, and their sums, have one."""
    monkeypatch.setenv("TOPICS_PARTITIONS", "6")
    settings = Settings()
    ones = {settings.topics.tallies, settings.of(TrendsSettings).windows}
    found = {topic.name: topic.partitions for topic in topics.wanted(settings)}
    assert {name for name, partitions in found.items() if partitions == 1} == ones
    assert {found[name] for name in found.keys() - ones} == {6}


def test_dead_letters_take_more_than_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of the largest size that an events topic takes by default fits with its headers."""
    monkeypatch.setenv("TOPICS_DEAD_LETTERS", "dead")
    shapes = {topic.name: topic.config for topic in topics.wanted(Settings())}
    # Kafka's default for `max.message.bytes`.
    assert int(shapes["dead"]["max.message.bytes"]) > 1_048_588 + 64 * 1024


def test_feedback_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was redriven doesn't expire, nor the last label of an event; everything else does."""
    monkeypatch.setenv("TOPICS_FEEDBACK", "feedback")
    monkeypatch.setenv("TOPICS_DEAD_LETTERS", "dead")
    kept = {t.name for t in topics.wanted(Settings()) if t.config.get("retention.ms") == "-1"}
    assert kept == {"dead.redriven"}
    compacted = {t.name for t in topics.wanted(Settings()) if "cleanup.policy" in t.config}
    assert compacted == {"feedback", Settings().of(TrendsSettings).windows}
