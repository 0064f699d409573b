import pytest

from sentiment.kafka import topics
from sentiment.settings import Settings, TopicSettings
from stream_worker.trends.settings import TrendsSettings


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
