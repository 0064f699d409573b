"""What the checker is given to see."""

from confluent_kafka.cimpl import NewTopic

from sentiment.kafka import clients
from tests.chaos import records
from tests.chaos.conftest import Ground

TOPIC = "chaos-records"
PATIENCE_S = 30.0


def test_open_and_aborted_transactions_are_told_from_committed_ones(ground: Ground) -> None:
    """A transaction that hangs is found, and what is aborted is seen by one reader alone."""
    cluster, _, _ = ground
    cluster.admin.create_topics([NewTopic(TOPIC, 1, 3)])[TOPIC].result(PATIENCE_S)
    producer = clients.new_producer(cluster.settings, transactional_id=TOPIC)
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    producer.produce(TOPIC, b"committed")
    producer.commit_transaction(PATIENCE_S)
    assert records.open_transactions(cluster.settings, TOPIC) == []
    producer.begin_transaction()
    producer.produce(TOPIC, b"aborted")
    producer.flush(PATIENCE_S)
    assert len(records.open_transactions(cluster.settings, TOPIC)) == 1
    producer.abort_transaction(PATIENCE_S)
    seen = [[r.value for r in read(cluster.settings, TOPIC)] for read in READERS]
    assert seen == [[b"committed"], [b"committed", b"aborted"]]
    assert records.open_transactions(cluster.settings, TOPIC) == []


READERS = (records.committed, records.uncommitted)
