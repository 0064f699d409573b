"""The configuration of a broker on a laptop."""

from collections.abc import Sequence
from pathlib import Path

from local.ports import HOST

# More than three replicas guard against nothing that happens to one machine.
MOST_REPLICAS = 3

# What differs from Kafka's own defaults, and why.
PROPERTIES = """\
process.roles=broker,controller
node.id={node}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
controller.quorum.voters={voters}
log.dirs={data}
default.replication.factor={replicas}
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
share.coordinator.state.topic.replication.factor={replicas}
min.insync.replicas={in_sync}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.min.isr={in_sync}
# Fifty partitions each, the default, are a hundred folders to open at every start.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
# A topic that nobody created is a mistake to be told, not to be made true.
auto.create.topics.enable=false
# A killed worker's share of the work waits for this, and not for the default's 45 s.
group.consumer.session.timeout.ms=6000
group.consumer.min.session.timeout.ms=6000
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.heartbeat.interval.ms=1000
group.initial.rebalance.delay.ms=0
# What a killed worker left open is aborted within a second of its timeout, not ten.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
"""


def render(number: int, ports: Sequence[int], controller_ports: Sequence[int], data: Path) -> str:
    """The properties file of one broker.

    Args:
        number: Which broker, from 0.
        ports: Where each broker of the cluster listens.
        controller_ports: Where each one listens as a controller.
        data: Where it keeps its data.
    """
    replicas = min(len(ports), MOST_REPLICAS)
    return PROPERTIES.format(
        node=number + 1,
        host=HOST,
        port=ports[number],
        controller_port=controller_ports[number],
        voters=",".join(f"{node}@{HOST}:{port}" for node, port in enumerate(controller_ports, 1)),
        data=data,
        replicas=replicas,
        # One less than there are: the cluster goes on writing while one broker is away.
        in_sync=max(replicas - 1, 1),
    )
