"""The faults, each with what undoes it, and which of them comes when."""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from signal import SIGKILL, SIGTERM
from typing import NamedTuple

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


class Fault(NamedTuple):
    """One kind of fault: what it happens to, what does it, and for how many seconds it holds.

    One at a time of each layer: two brokers away are no cluster.
    """

    layer: str
    do: Do
    seconds: tuple[float, float] = (0.0, 0.0)


def _any(world: World, chance: random.Random) -> int:
    return chance.choice(world.fleet.slots())


def _kill(world: World, number: int) -> Undo:
    world.cluster.kill(number)
    return lambda: world.cluster.start(number)


def _scale(world: World, _: random.Random) -> None:
    world.fleet.scale(SCALES[(SCALES.index(world.fleet.wanted) + 1) % len(SCALES)])


def _pause_broker(world: World, chance: random.Random) -> Undo:
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


def _add_partition(world: World, _: random.Random) -> None:
    topic = world.settings.topics.events

    def add(admin: AdminClient) -> Future[object]:
        present = len(admin.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions)
        return admin.create_partitions([NewPartitions(topic, present + 1)])[topic]

    _insist(world, add)


def _take_registry(world: World, _: random.Random) -> Undo:
    world.models.take_away()
    return world.models.bring_back


def _refuse_dead_letters(world: World, _: random.Random) -> Undo:
    limit_dead_letters(world, SMALL_BYTES)
    world.traffic.send_large()
    return lambda: limit_dead_letters(world, LARGE_BYTES)


def _storm(world: World, _: random.Random) -> Undo:
    def storm(*, on: bool) -> None:
        world.traffic.storm = on

    storm(on=True)
    return lambda: storm(on=False)


# A session lasts 4 s and a transaction 3 s here: the sleepers sleep for longer than both.
ASLEEP_S = (7.0, 10.0)
AWAY_S = (1.0, 5.0)
LOST_S = (3.0, 4.0)
RESET_S = (1.0, 3.0)
LATE_S = (2.0, 3.0)
FAULTS: dict[str, Fault] = {
    "worker-killed": Fault("workers", lambda w, r: w.fleet.end(_any(w, r), SIGKILL, "killed")),
    "worker-stopped": Fault(
        "workers", lambda w, r: w.fleet.end(_any(w, r), SIGTERM, "told to stop")
    ),
    "worker-asleep": Fault("workers", lambda w, r: w.fleet.pause(_any(w, r)), ASLEEP_S),
    # Those with a stable transactional id will be fenced by their successors.
    "worker-replaced": Fault("workers", lambda w, r: w.fleet.replace(_any(w, r)), ASLEEP_S),
    "scaled": Fault("workers", _scale),
    "trends-killed": Fault("trends", lambda w, _: w.trends.kill_one()),
    "broker-killed": Fault("brokers", lambda w, r: _kill(w, r.randrange(BROKERS)), AWAY_S),
    "controller-killed": Fault("brokers", lambda w, _: _kill(w, w.cluster.controller()), AWAY_S),
    "transaction-coordinator-killed": Fault(
        "brokers",
        lambda w, _: _kill(w, w.cluster.coordinator("transaction", w.fleet.transactional_id(0))),
        AWAY_S,
    ),
    "group-coordinator-killed": Fault(
        "brokers", lambda w, _: _kill(w, w.cluster.coordinator("group", w.group)), AWAY_S
    ),
    "broker-paused": Fault("brokers", _pause_broker, (1.0, 8.0)),
    "broker-cut-off": Fault("network", _cut_off, (1.0, 6.0)),
    "connections-reset": Fault("network", lambda w, r: w.proxy.reset(r.randrange(BROKERS))),
    "network-slow": Fault("network", _harm("delay_answer", frozenset(), 100), (2.0, 4.0)),
    "commit-request-dropped": Fault("network", _harm("drop_request"), LOST_S),
    "commit-answer-dropped": Fault("network", _harm("drop_answer"), LOST_S),
    "commit-request-delayed": Fault("network", _harm("delay_request"), LOST_S),
    "commit-answer-delayed": Fault("network", _harm("delay_answer"), LOST_S),
    "commit-reset-before": Fault("network", _harm("reset_before"), RESET_S),
    "commit-reset-after": Fault("network", _harm("reset_after"), RESET_S),
    "produce-late": Fault("network", _late(proxy.PRODUCE), LATE_S),
    "add-partitions-late": Fault("network", _late(proxy.ADD_PARTITIONS), LATE_S),
    "add-offsets-late": Fault("network", _late(proxy.ADD_OFFSETS), LATE_S),
    "offset-commit-late": Fault("network", _late(proxy.TXN_OFFSET_COMMIT), LATE_S),
    "end-of-transaction-late": Fault("network", _late(proxy.END_TXN), LATE_S),
    "partition-added": Fault("topics", _add_partition),
    "model-swapped": Fault("registry", lambda w, _: w.models.swap()),
    "registry-away": Fault("registry", _take_registry, (3.0, 6.0)),
    "dead-letters-refused": Fault("topics", _refuse_dead_letters, (3.0, 6.0)),
    "storm-of-invalid-events": Fault("traffic", _storm, (2.0, 4.0)),
}
# Partitions can't be taken away again.
MOST_OF = {"partition-added": 6}


def kinds(*, ours: bool) -> tuple[str, ...]:
    """The faults that mean something to our worker, or to a peer."""
    return tuple(
        name
        for name, fault in FAULTS.items()
        if ours or (fault.layer in HURT_PEERS and name != "dead-letters-refused")
    )


class Step(NamedTuple):
    """One fault of a schedule: when, in seconds from the start, which, for how long.

    It waits for the one before it in its layer. The seed is of what it chooses itself.
    """

    at: float
    name: str
    seconds: float
    seed: str


def plan(seed: int, count: int, every: float, names: Sequence[str] = tuple(FAULTS)) -> list[Step]:
    """Make a schedule of so many faults, two of them `every` so many seconds on average.

    The same seed makes the same one; every kind of fault comes before any comes again.
    """
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    chosen: list[str] = []
    while len(chosen) < count:
        round_of = [name for name in names if chosen.count(name) < MOST_OF.get(name, count)]
        chosen += chance.sample(round_of, len(round_of))
    steps, at = [], 0.0
    for number, name in enumerate(chosen[:count]):
        low, high = FAULTS[name].seconds
        steps.append(Step(at, name, chance.uniform(low, high), f"{seed}-{number}"))
        at += every * chance.uniform(0.2, 1.8)
    return steps


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
