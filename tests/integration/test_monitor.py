"""What the monitor makes of partitions that somebody else should read."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition

from sentiment.kafka import clients, monitor
from sentiment.kafka.monitor import RARELY, Monitor
from sentiment.settings import Settings
from stream_worker.intake import Intake
from tests.integration.workers import PATIENCE_S, send

GOOD = b'{"text":"a good film"}'


@pytest.fixture
def intake(settings: Settings) -> Iterator[Intake]:
    """A member of the group that has no partitions until it is polled."""
    made = Intake(settings, before_revoke=lambda: None)
    yield made
    made.close()


def _look(watching: Monitor) -> list[int]:
    """What nobody reads, as of the next look at the partitions of others."""
    watching.unread = []
    for _ in range(RARELY):
        watching.check()
    return watching.unread


def test_a_partition_that_nobody_reads_is_noticed_once(
    settings: Settings, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events arrive and the group's offset stands still: told once for each place."""
    group = settings.worker.group_id
    settings.worker = settings.worker.replace(group_id=f"{group}-that-nobody-is-in")
    watching = Monitor(settings, intake)
    send(settings, [GOOD] * settings.topics.partitions)
    assert _look(watching) == []
    monkeypatch.setattr(monitor, "UNREAD_S", 0.0)
    assert _look(watching) == [], "nothing has arrived since"
    send(settings, [GOOD] * 2)
    assert _look(watching) == [0, 1]
    send(settings, [GOOD] * 2)
    assert _look(watching) == [], "it was told"
    # Somebody does.
    member = clients.new_consumer(settings.kafka, group_id=settings.worker.group_id)
    member.commit(offsets=[TopicPartition(settings.topics.events, 0, 2)], asynchronous=False)
    send(settings, [GOOD] * 2)
    assert _look(watching) == []
    send(settings, [GOOD] * 2)
    assert _look(watching) == [0]
    member.close()


def test_a_member_that_joins_anew_has_its_partitions_again(
    settings: Settings, intake: Intake
) -> None:
    """And goes on at the committed offsets."""
    send(settings, [GOOD] * settings.topics.partitions)
    for _ in range(2):
        places: set[object] = set()
        deadline = time.monotonic() + PATIENCE_S
        while len(places) < settings.topics.partitions:
            assert time.monotonic() < deadline, places
            places |= {(r.partition(), r.offset()) for r in intake.take(10, 0.2) or []}
        assert sorted(intake.assigned()) == list(range(settings.topics.partitions))
        intake.join_anew()
        assert not intake.assigned()


def test_partitions_that_come_back_are_read_although_they_were_paused(
    settings: Settings, intake: Intake
) -> None:
    """A member that is idle and loses partitions has them whole again, without a rewind."""
    count = settings.topics.partitions
    deadline = time.monotonic() + PATIENCE_S

    def poll_until(others: Intake | None, mine: int) -> None:
        while len(intake.assigned()) != mine:
            assert time.monotonic() < deadline, intake.assigned()
            intake.take(10, 0.1)
            if others:
                others.take(10, 0.1)

    poll_until(None, count)
    intake.idle(0)
    other = Intake(settings, before_revoke=lambda: None)
    poll_until(other, count // 2)
    moved = set(range(count)) - set(intake.assigned())
    other.close()
    poll_until(None, count)
    send(settings, [GOOD] * count)
    seen: set[int | None] = set()
    while not moved <= seen:
        assert time.monotonic() < deadline, (moved, seen)
        seen |= {record.partition() for record in intake.take(10, 0.2) or []}
