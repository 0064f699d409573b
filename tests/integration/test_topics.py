import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from sentiment.errors import BrokerError, TopicError
from sentiment.kafka import clients, topics
from sentiment.settings import Settings
from tests.integration.commands import sentiment


def test_check_tells_what_is_missing_and_creates_nothing(settings: Settings) -> None:
    """`--check` exits with 1 for a missing topic, twice, and with 0 once it was created."""
    missing = f"{settings.topics.events}-new"
    for _ in range(2):
        done = sentiment("topics", "--check", TOPICS_EVENTS=missing)
        assert done.returncode == 1
        assert re.search(rf"{missing} +0  missing\n", done.stdout)
    done = sentiment("topics", TOPICS_EVENTS=missing)
    assert done.returncode == 0
    assert re.search(rf"{missing} +4  created\n", done.stdout)
    done = sentiment("topics", "--check", TOPICS_EVENTS=missing)
    assert done.returncode == 0
    assert re.search(rf"{missing} +4  ok\n", done.stdout)


def test_json_is_for_programs(settings: Settings) -> None:
    """`--json` prints one array with the state of every topic."""
    done = sentiment("topics", "--json")
    states = json.loads(done.stdout)
    found = {state["name"]: state["partitions"] for state in states}
    assert found == {topic.name: topic.partitions for topic in topics.wanted(settings)}
    assert not any(state["created"] or state["problem"] for state in states)


def test_too_few_partitions_are_a_problem_and_stay(settings: Settings) -> None:
    """A topic that exists is never changed; one that is too small is told, with exit code 1."""
    done = sentiment("topics", TOPICS_PARTITIONS=9)
    assert done.returncode == 1
    assert done.stdout.count("has 4 partitions, fewer than TOPICS_PARTITIONS=9") == 6
    assert {state.partitions for state in topics.check(settings)} == {4, 1}


def test_topics_are_created_as_wanted(settings: Settings) -> None:
    """The cluster has each topic with the configuration of the table."""
    admin = clients.new_admin(settings.kafka)
    for topic in topics.wanted(settings):
        resource = ConfigResource(ResourceType.TOPIC, topic.name)
        config = admin.describe_configs([resource])[resource].result(timeout=30)
        assert {name: config[name].value for name in topic.config} == topic.config


def test_two_may_create_at_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several apps that start together all find their topics; none fails for being second."""
    for name in ("EVENTS", "RESULTS", "TRENDS"):
        monkeypatch.setenv(f"TOPICS_{name}", f"{settings.topics.events}-{name}-both")
    with ThreadPoolExecutor(4) as pool:
        for states in pool.map(lambda _: topics.create(Settings()), range(4)):
            assert [state.problem for state in states] == [""] * len(topics.wanted(settings))


def test_what_the_cluster_refuses_is_told(settings: Settings) -> None:
    """More replicas than brokers: the cluster's reason, and which settings to look at."""
    del settings
    done = sentiment("topics", TOPICS_REPLICATION=9, TOPICS_EVENTS="too-many-replicas")
    assert done.returncode == 1
    assert "'too-many-replicas' could not be created" in done.stderr
    assert "TOPICS_REPLICATION" in done.stderr
    assert "Traceback" not in done.stderr


def test_require_names_the_missing(settings: Settings) -> None:
    """What needs topics says which are missing, and how to create them."""
    topics.require(settings, settings.topics.events, settings.topics.results)
    with pytest.raises(TopicError, match="'absent-topic'") as caught:
        topics.require(settings, settings.topics.events, "absent-topic")
    assert "sentiment topics" in caught.value.hint


def test_no_broker_is_told_in_time(settings: Settings) -> None:
    """Without a broker the wait ends after the setting's time, with the address."""
    settings.kafka = settings.kafka.replace(bootstrap_servers="127.0.0.1:1", connect_timeout_s=0.5)
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1"):
        topics.check(settings)
