"""The faults: each a function that does one thing and may return what undoes it."""

import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewPartitions

from sentiment.kafka import clients
from tests.chaos import proxy
from tests.chaos.cluster import BROKERS
from tests.chaos.world import WORKERS, World

Undo = Callable[[], None]
Do = Callable[[World, random.Random], Undo | None]

# Scaling goes through these, again and again.
SCALES = (4, 1, WORKERS)
# Above the workers' WORKER_COMMIT_TIMEOUT_S, so that a delayed answer comes too late.
TOO_LATE_S = 3.0
# Far below the 33 KB of `Traffic.send_large`; a batch of ordinary dead letters may pass it too.
SMALL_BYTES = 4000
# What it takes otherwise.
LARGE_BYTES = clients.MAX_MESSAGE_BYTES
ADMIN_S = 60.0
ANSWER_S = 5.0
# The brokers did it the last time that they were asked, and their answer was lost.
DONE = {KafkaError.INVALID_PARTITIONS}
# What Kafka's protocol calls the requests of a transaction.
NAMES = {
    proxy.PRODUCE: "Produce",
    proxy.ADD_PARTITIONS: "AddPartitionsToTxn",
    proxy.ADD_OFFSETS: "AddOffsetsToTxn",
    proxy.TXN_OFFSET_COMMIT: "TxnOffsetCommit",
    proxy.END_TXN: "EndTxn",
}
HURT_PEERS = {"workers", "brokers", "network", "topics"}


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        do: Does it; returns what undoes it, or None.
        layer: What it happens to. One at a time of each: two brokers away are no cluster.
        seconds: How long it holds, from and to.
    """

    do: Do
    layer: str
    seconds: tuple[float, float] = (0.0, 0.0)


def _worker_killed(world: World, chance: random.Random) -> None:
    world.fleet.end(_any_worker(world, chance), signal.SIGKILL, "killed")


def _worker_stopped(world: World, chance: random.Random) -> None:
    world.fleet.end(_any_worker(world, chance), signal.SIGTERM, "told to stop")


def _worker_asleep(world: World, chance: random.Random) -> Undo:
    return world.fleet.pause(_any_worker(world, chance))


def _worker_replaced(world: World, chance: random.Random) -> Undo:
    # Those with a stable transactional id will be fenced by their successors.
    return world.fleet.replace(_any_worker(world, chance))


def _trends_killed(world: World, chance: random.Random) -> None:
    del chance
    world.trends.kill()


def _scaled(world: World, chance: random.Random) -> None:
    del chance
    wanted = SCALES[(SCALES.index(world.fleet.wanted) + 1) % len(SCALES)]
    world.fleet.scale(wanted)


def _broker_killed(world: World, chance: random.Random) -> Undo:
    return _kill(world, chance.randrange(BROKERS))


def _controller_killed(world: World, chance: random.Random) -> Undo:
    del chance
    return _kill(world, world.cluster.controller())


def _transactions_killed(world: World, chance: random.Random) -> Undo:
    del chance
    name = world.fleet.transactional_id(0)
    return _kill(world, world.cluster.coordinator("transaction", name))


def _group_killed(world: World, chance: random.Random) -> Undo:
    del chance
    return _kill(world, world.cluster.coordinator("group", world.group))


def _broker_paused(world: World, chance: random.Random) -> Undo:
    number = chance.randrange(BROKERS)
    world.cluster.pause(number)
    return lambda: world.cluster.resume(number)


def _cut_off(world: World, chance: random.Random) -> Undo:
    broker = chance.randrange(BROKERS)
    world.proxy.cut = frozenset({broker})

    def mend() -> None:
        world.proxy.heal()
        # Half of the connections outlive it, half are found dead.
        if chance.random() < 0.5:
            world.proxy.reset(broker)

    return mend


def _connections_reset(world: World, chance: random.Random) -> None:
    world.proxy.reset(chance.randrange(BROKERS))


def _harm(kind: proxy.Kind, apis: frozenset[int] = proxy.COMMITS, times: int = 3) -> Do:
    def do(world: World, chance: random.Random) -> Undo:
        seconds = chance.uniform(0.05, 0.3) if not apis else TOO_LATE_S
        world.proxy.harm = proxy.Harm(kind, apis, seconds=seconds, times=times)
        return world.proxy.heal

    return do


def _late(api: int) -> Do:
    """Requests of one kind arrive when the client has repeated them and gone on."""

    def do(world: World, chance: random.Random) -> Undo:
        seconds = chance.uniform(0.02, 0.3)
        harm = proxy.Harm("late_request", frozenset({api}), seconds=seconds, every=2, times=6)
        if api == proxy.END_TXN and chance.random() < 0.5:
            # In the middle of a later transaction, which is the worst moment.
            harm.after = proxy.TXN_OFFSET_COMMIT
        world.proxy.harm = harm
        world.late.append((NAMES[api], harm))
        return world.proxy.heal

    return do


def _partition_added(world: World, chance: random.Random) -> None:
    del chance
    topic = world.settings.topics.events

    def add(admin: AdminClient) -> Future[object]:
        present = len(admin.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions)
        return admin.create_partitions([NewPartitions(topic, present + 1)])[topic]

    _insist(world, add)


def _model_swapped(world: World, chance: random.Random) -> None:
    del chance
    world.models.swap()


def _registry_away(world: World, chance: random.Random) -> Undo:
    del chance
    world.models.take_away()
    return world.models.bring_back


def _dead_letters_refused(world: World, chance: random.Random) -> Undo:
    del chance
    limit_dead_letters(world, SMALL_BYTES)
    world.traffic.send_large()
    return lambda: limit_dead_letters(world, LARGE_BYTES)


def _storm(world: World, chance: random.Random) -> Undo:
    del chance
    world.traffic.storm = True

    def end() -> None:
        world.traffic.storm = False

    return end


# A session lasts 4 s and a transaction 3 s here: the sleepers sleep for longer than both.
ASLEEP_S = (7.0, 10.0)
AWAY_S = (1.0, 5.0)
LATE_S = (2.0, 3.0)
FAULTS: dict[str, Fault] = {
    "worker-killed": Fault(_worker_killed, "workers"),
    "worker-stopped": Fault(_worker_stopped, "workers"),
    "worker-asleep": Fault(_worker_asleep, "workers", ASLEEP_S),
    "worker-replaced": Fault(_worker_replaced, "workers", ASLEEP_S),
    "scaled": Fault(_scaled, "workers"),
    "trends-killed": Fault(_trends_killed, "trends"),
    "broker-killed": Fault(_broker_killed, "brokers", AWAY_S),
    "controller-killed": Fault(_controller_killed, "brokers", AWAY_S),
    "transaction-coordinator-killed": Fault(_transactions_killed, "brokers", AWAY_S),
    "group-coordinator-killed": Fault(_group_killed, "brokers", AWAY_S),
    "broker-paused": Fault(_broker_paused, "brokers", (1.0, 8.0)),
    "broker-cut-off": Fault(_cut_off, "network", (1.0, 6.0)),
    "connections-reset": Fault(_connections_reset, "network"),
    "network-slow": Fault(_harm("delay_answer", frozenset(), 100), "network", (2.0, 4.0)),
    "commit-request-dropped": Fault(_harm("drop_request"), "network", (3.0, 4.0)),
    "commit-answer-dropped": Fault(_harm("drop_answer"), "network", (3.0, 4.0)),
    "commit-request-delayed": Fault(_harm("delay_request"), "network", (3.0, 4.0)),
    "commit-answer-delayed": Fault(_harm("delay_answer"), "network", (3.0, 4.0)),
    "commit-reset-before": Fault(_harm("reset_before"), "network", (1.0, 3.0)),
    "commit-reset-after": Fault(_harm("reset_after"), "network", (1.0, 3.0)),
    "produce-late": Fault(_late(proxy.PRODUCE), "network", LATE_S),
    "add-partitions-late": Fault(_late(proxy.ADD_PARTITIONS), "network", LATE_S),
    "add-offsets-late": Fault(_late(proxy.ADD_OFFSETS), "network", LATE_S),
    "offset-commit-late": Fault(_late(proxy.TXN_OFFSET_COMMIT), "network", LATE_S),
    "end-of-transaction-late": Fault(_late(proxy.END_TXN), "network", LATE_S),
    "partition-added": Fault(_partition_added, "topics"),
    "model-swapped": Fault(_model_swapped, "registry"),
    "registry-away": Fault(_registry_away, "registry", (3.0, 6.0)),
    "dead-letters-refused": Fault(_dead_letters_refused, "topics", (3.0, 6.0)),
    "storm-of-invalid-events": Fault(_storm, "traffic", (2.0, 4.0)),
}


def kinds(*, ours: bool) -> tuple[str, ...]:
    """The faults that mean something to our worker, or to a peer."""
    return tuple(
        name
        for name, fault in FAULTS.items()
        if ours or (fault.layer in HURT_PEERS and name != "dead-letters-refused")
    )


def _any_worker(world: World, chance: random.Random) -> int:
    return chance.choice(world.fleet.slots())


def _kill(world: World, number: int) -> Undo:
    world.cluster.kill(number)
    return lambda: world.cluster.start(number)


def limit_dead_letters(world: World, limit: int) -> None:
    """Let the dead-letter topic take no larger messages than this, in bytes."""
    entry = ConfigEntry(
        "max.message.bytes", str(limit), incremental_operation=AlterConfigOpType.SET
    )
    topic = world.settings.topics.dead_letters
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    _insist(world, lambda admin: admin.incremental_alter_configs([resource])[resource])


def _insist(world: World, ask: Callable[[AdminClient], Future[object]]) -> None:
    """Ask the brokers until they have done it: one of them may be away."""
    deadline = time.monotonic() + ADMIN_S
    while True:
        # Anew each time: a client that knows a broker which is away waits for that one.
        admin = clients.new_admin(world.cluster.settings)
        try:
            ask(admin).result(ANSWER_S)
        except (KafkaException, TimeoutError) as error:
            if isinstance(error, KafkaException) and error.args[0].code() in DONE:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"no broker changes a topic for {ADMIN_S:.0f} s") from error
        else:
            return
