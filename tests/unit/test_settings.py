import copy
from pathlib import Path

import pytest

from sentiment import apps
from sentiment.errors import SettingsError
from sentiment.kafka import clients
from sentiment.logs import LogSettings
from sentiment.settings import (
    KafkaSettings,
    ModelSettings,
    Section,
    Settings,
    TopicSettings,
    WorkerSettings,
)
from web.settings import WebSettings

SECTIONS = apps.sections()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine reaches these tests."""
    for section in SECTIONS:
        for name in section.model_fields:
            variable = f"{section.model_config.get('env_prefix')}{name}".upper()
            monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda kind: kind.__name__)
def test_defaults_are_valid_and_described(section: type[Section]) -> None:
    """Every section can be made of an empty environment, and each setting says what it is."""
    section()
    for name, field in section.model_fields.items():
        assert field.description, name


def test_tree_has_every_section() -> None:
    """The sections that apps share are its attributes, and each app's own is there by its type."""
    tree = Settings()
    assert tree.kafka is tree.of(KafkaSettings)
    for section in SECTIONS:
        assert type(tree.of(section)) is section
        changed = section()
        tree.use(changed)
        assert tree.of(section) is changed


def test_a_copy_of_the_tree_changes_alone() -> None:
    """A copy begins with what the tree has, and what it is given is not the tree's."""
    tree = Settings()
    tree.kafka = tree.kafka.replace(bootstrap_servers="a:1")
    copied = copy.copy(tree)
    assert copied.kafka is tree.kafka
    copied.kafka = copied.kafka.replace(bootstrap_servers="b:2")
    assert (tree.kafka.bootstrap_servers, copied.kafka.bootstrap_servers) == ("a:1", "b:2")


def test_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables with the section's prefix win over the defaults; JSON where a value is a table."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "broker:9092")
    monkeypatch.setenv("KAFKA_CONFIG", '{"linger.ms": 1}')
    monkeypatch.setenv("WORKER_MAX_BATCH", "7")
    tree = Settings()
    assert tree.kafka.bootstrap_servers == "broker:9092"
    assert tree.kafka.config == {"linger.ms": 1}
    assert tree.worker.max_batch == 7


@pytest.mark.parametrize(
    ("variable", "value", "section"),
    [
        ("KAFKA_SECURITY_PROTOCOL", "TLS", KafkaSettings),
        ("KAFKA_BOOTSTRAP_SERVERS", "", KafkaSettings),
        ("KAFKA_CONFIG", "{linger.ms: 1}", KafkaSettings),
        ("KAFKA_CONFIG", '{"linger.ms": [1]}', KafkaSettings),
        ("KAFKA_CONNECT_TIMEOUT_S", "0", KafkaSettings),
        ("TOPICS_EVENTS", "", TopicSettings),
        ("TOPICS_EVENTS", "text events", TopicSettings),
        ("TOPICS_PARTITIONS", "none", TopicSettings),
        ("WORKER_HTTP_PORT", "65536", WorkerSettings),
        ("WORKER_DEAD_LETTER_MAX_SHARE", "1.5", WorkerSettings),
        ("LOG_LEVEL", "LOUD", LogSettings),
        ("MODEL_URI", "runs:/1/model", ModelSettings),
        ("WEB_PORT", "http", WebSettings),
    ],
)
def test_wrong_values_name_the_variable(
    variable: str, value: str, section: type[Section], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that can't be used is an error that names its variable and exits with 2."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        section()
    assert variable in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_every_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wrong values are told at once, not one after the other."""
    monkeypatch.setenv("WORKER_MAX_BATCH", "0")
    monkeypatch.setenv("WORKER_HTTP_PORT", "-1")
    with pytest.raises(SettingsError, match=r"WORKER_MAX_BATCH.*WORKER_HTTP_PORT"):
        WorkerSettings()


def test_secrets_come_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file named after the variable holds its value; the environment wins over it."""
    (tmp_path / "KAFKA_SASL_PASSWORD").write_text("hunter2\n")
    (tmp_path / "KAFKA_SASL_USERNAME").write_text("file")
    monkeypatch.setenv("SENTIMENT_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "environment")
    settings = KafkaSettings()
    assert settings.sasl_password.get_secret_value() == "hunter2"
    assert settings.sasl_username == "environment"


def test_missing_directory_of_secrets_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A mistyped directory doesn't silently leave every secret empty."""
    monkeypatch.setenv("SENTIMENT_SECRETS_DIR", str(tmp_path / "absent"))
    with pytest.raises(SettingsError, match="SENTIMENT_SECRETS_DIR"):
        KafkaSettings()


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a password nor librdkafka's properties, which may hold one, are in repr or str."""
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "hunter2")
    # pragma: allowlist nextline secret - of this test
    monkeypatch.setenv("KAFKA_CONFIG", '{"ssl.key.password": "hunter3"}')
    settings = KafkaSettings()
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert "hunter" not in shown


def test_wrong_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error about a value doesn't repeat it."""
    monkeypatch.setenv("KAFKA_CONFIG", '{"ssl.key.password": ["hunter3"]}')
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "hunter4")
    with pytest.raises(SettingsError) as caught:
        KafkaSettings()
    assert "hunter" not in caught.value.message


def test_replace_changes_and_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """`replace` wins over the environment, keeps the rest, ignores None and checks its values."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "a:1")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "hunter2")
    settings = KafkaSettings()
    changed = settings.replace(bootstrap_servers="b:2", sasl_username=None)
    assert changed.bootstrap_servers == "b:2"
    assert changed.sasl_password.get_secret_value() == "hunter2"
    assert settings.bootstrap_servers == "a:1"
    assert settings.replace(bootstrap_servers=None) == settings
    with pytest.raises(SettingsError, match="KAFKA_BOOTSTRAP_SERVERS"):
        settings.replace(bootstrap_servers="")


def test_a_commit_ends_before_its_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit may not take longer than the brokers leave a transaction open."""
    monkeypatch.setenv("WORKER_COMMIT_TIMEOUT_S", "11")
    with pytest.raises(SettingsError, match="WORKER_COMMIT_TIMEOUT_S is above"):
        WorkerSettings()


def test_an_unknown_property_of_the_client_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """What librdkafka doesn't know is refused with the setting to look at."""
    monkeypatch.setenv("KAFKA_CONFIG", '{"nope": 1}')
    with pytest.raises(SettingsError, match="nope") as raised:
        clients.new_admin(KafkaSettings())
    assert "KAFKA_CONFIG" in raised.value.hint
