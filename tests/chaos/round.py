"""One round: workers and traffic start, faults happen, all is healed, the checker looks."""

import heapq
import itertools
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaException

from tests.chaos import records, trends
from tests.chaos.checker import Checker, Violation
from tests.chaos.faults import FAULTS, Step, Undo
from tests.chaos.report import Outcome
from tests.chaos.world import World, wait_for

Say = Callable[[str], None]

# A worker's first start on a busy machine: model from the registry, compiled, group joined.
START_S = 300.0
# After the last fault; Kafka's own time-outs end within ten seconds, a worker's back-off in five.
RECOVERY_S = 180.0
HEALTHY_S = 120.0
# What a killed worker left open ends within a second of its transaction's time-out.
OPEN_S = 30.0
TICK_S = 0.05
LOOK_S = 1.0
ASK_S = 0.3
# Longer than any one fault should hold up everything.
LONG_STALL_S = 15.0


class Round:
    """Runs a schedule in a world of which nothing runs yet, and says how far it is.

    The workers have `recovery_s` seconds to catch up when all is healed.
    """

    def __init__(
        self,
        world: World,
        steps: Sequence[Step],
        protocol: str,
        say: Say,
        recovery_s: float = RECOVERY_S,
    ) -> None:
        self._world = world
        self._steps = steps
        self._say = say
        self._recovery_s = recovery_s
        self.outcome = Outcome(protocol)
        self._holding: list[tuple[float, int, str, Undo]] = []
        self._busy: Counter[str] = Counter()
        self._since: dict[str, float] = {}
        self._ask_after: defaultdict[str, float] = defaultdict(float)
        self._numbers = itertools.count()
        self._done, self._done_at, self._looked = 0, time.monotonic(), 0.0

    def run(self, meanwhile: Callable[[], None] | None = None) -> Outcome:
        """Run it to its end, the schedule or something else while events flow; stop the workers."""
        world = self._world
        try:
            world.fleet.scale(world.workers)
            if world.engine.is_ours:
                world.trends.scale(1)
            world.traffic.start()
            if not wait_for(world, 1, START_S):
                self._violate("stuck", "the workers commit nothing although nothing is broken yet")
                return self.outcome
            self._done_at = time.monotonic()
            (meanwhile or self._faults)()
            self._recover()
            if not world.fleet.stop():
                self._violate("no end", "a worker does not end on SIGTERM")
            self._check()
            if not world.trends.stop():
                self._violate("no end", "the trends do not end on SIGTERM")
        except TimeoutError as error:
            self._violate("stuck", str(error))
        finally:
            world.heal()
            world.traffic.stop()
            world.fleet.kill()
            world.trends.kill()
            world.close()
            self.outcome.exits = dict(world.fleet.exits + world.trends.exits)
            self.outcome.restarts = world.fleet.restarts
            for name, harm in world.late:
                self.outcome.late[name] += harm.arrived
            self.outcome.tracebacks = _tracebacks(world)
        return self.outcome

    def _faults(self) -> None:
        """Do each step when it is due and what it needs is there; others go ahead of it."""
        began = time.monotonic()
        # At most one fault at a time in each layer, and in the schedule's order.
        waiting: dict[str, deque[Step]] = defaultdict(deque)
        for step in self._steps:
            waiting[FAULTS[step.name].layer].append(step)
        left = len(self._steps)
        mean_s = max(self._steps[-1].at / left, 1.0)
        traffic = self._world.traffic
        while left:
            # Brokers that take long to come back must not leave faults without events.
            traffic.rate = (traffic.count - traffic.sent) / (left * mean_s)
            for layer, steps in waiting.items():
                if steps and began + steps[0].at <= time.monotonic() and self._is_ready(layer):
                    self._do(steps.popleft())
                    left -= 1
                    self._say(
                        f"[{len(self._steps) - left}/{len(self._steps)},"
                        f" {time.monotonic() - began:.0f} s] {self.outcome.timeline[-1][1]}"
                        f" | sent {traffic.sent:,}, committed {self._done:,},"
                        f" workers {len(self._world.fleet.slots())} of {self._world.fleet.wanted}"
                    )
            self._tick()
        while self._holding:
            self._tick()

    def _is_ready(self, layer: str) -> bool:
        """Whether brokers are in sync again, or a worker is there, to be hurt.

        Raises:
            TimeoutError: They don't come back.
        """
        if self._busy[layer]:
            return False
        world = self._world
        if time.monotonic() < self._ask_after[layer]:
            return False
        if layer == "brokers":
            ready, missing = world.cluster.is_healthy(), "the brokers don't get in sync"
        elif layer == "workers":
            ready, missing = bool(world.fleet.slots()), "no worker starts"
        else:
            return True
        if ready:
            self._since.pop(layer, None)
            return True
        self._ask_after[layer] = time.monotonic() + ASK_S
        if time.monotonic() - self._since.setdefault(layer, time.monotonic()) > HEALTHY_S:
            raise TimeoutError(f"{missing} for {HEALTHY_S:.0f} s; see the logs")
        return False

    def _do(self, step: Step) -> None:
        fault = FAULTS[step.name]
        self._note(f"{step.name}" + (f" for {step.seconds:.1f} s" if step.seconds else ""))
        chance = random.Random(step.seed)  # noqa: S311 - to be repeated, not to be secret
        try:
            undo = fault.do(self._world, chance)
        except (KafkaException, OSError) as error:
            # No broker could tell the coordinator, say, as another fault is on.
            self._note(f"{step.name} could not be done: {error}")
            return
        self.outcome.faults[step.name] += 1
        if undo is not None:
            self._busy[fault.layer] += 1
            due = time.monotonic() + step.seconds
            heapq.heappush(self._holding, (due, next(self._numbers), step.name, undo))

    def _tick(self) -> None:
        time.sleep(TICK_S)
        self._world.tend()
        now = time.monotonic()
        while self._holding and self._holding[0][0] <= now:
            _, _, name, undo = heapq.heappop(self._holding)
            undo()
            self._note(f"{name} ends")
            self._busy[FAULTS[name].layer] -= 1
        if now - self._looked > LOOK_S:
            self._look()

    def _look(self) -> None:
        done = self._world.done()
        now = self._looked = time.monotonic()
        stall_s = now - self._done_at
        if done is None or done == self._done:
            self.outcome.longest_stall_s = max(self.outcome.longest_stall_s, stall_s)
        else:
            if stall_s > LONG_STALL_S:
                self._note(f"nothing was committed for {stall_s:.0f} s")
            self._done, self._done_at = done, now

    def _recover(self) -> None:
        world = self._world
        world.heal()
        world.fleet.scale(world.workers)
        healed = time.monotonic()
        self._note("all is healed")
        world.traffic.finish()
        ends = self._told(world.input_ends)
        if not wait_for(world, sum(ends.values()), self._recovery_s):
            done = self._told(world.committed)
            behind = {number: f"{done.get(number, 0)} of {end}" for number, end in ends.items()}
            self._violate(
                "stuck", f"{self._recovery_s:.0f} s after all is healed, committed: {behind}"
            )
        self.outcome.recovery_s = time.monotonic() - healed
        self._note("all is committed")

    def _told(self, ask: Callable[[], dict[int, int]]) -> dict[int, int]:
        """Ask the brokers for offsets until they tell them: one may just have come back.

        Raises:
            TimeoutError: They don't.
        """
        deadline = time.monotonic() + HEALTHY_S
        while True:
            try:
                return ask()
            except KafkaException as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the brokers tell no offsets: {error}") from None
                self._tick()

    def _check(self) -> None:
        world, topics = self._world, self._world.settings.topics
        kafka = world.settings.kafka
        outputs = (topics.results, topics.dead_letters, topics.tallies)
        world.cluster.wait_until_healthy()
        deadline = time.monotonic() + OPEN_S
        while (open_ones := [x for t in outputs for x in records.open_transactions(kafka, t)]) and (
            time.monotonic() < deadline
        ):
            time.sleep(LOOK_S)
        for one in open_ones:
            self._violate("hanging transaction", one)
        ours = world.engine.is_ours
        checker = Checker(topics.events, outputs=topics.partitions if ours else 0, tallies=ours)
        checker.check_input(records.committed(kafka, topics.events), world.traffic.places)
        checker.check_results(records.committed(kafka, topics.results))
        checker.check_letters(records.committed(kafka, topics.dead_letters))
        checker.check_tallies(records.committed(kafka, topics.tallies))
        checker.finish()
        self.outcome.counts += checker.counts
        self.outcome.violations += checker.violations
        seen = checker.seen
        everything = sum(1 for topic in outputs for _ in records.uncommitted(kafka, topic))
        seen["aborted"] = everything - seen["results"] - seen["dead letters"] - seen["tallies"]
        self.outcome.seen = dict(seen)
        if ours and (
            wrong := trends.wrong_sums(
                world.settings, world.trends, seen["results"], seen["dead letters"]
            )
        ):
            self._violate("trends", wrong)
        self.outcome.sent_twice = checker.sent_twice
        for reason in world.traffic.failed:
            self._note(f"the producer gave up: {reason}")

    def _violate(self, kind: str, text: str) -> None:
        self.outcome.counts[kind] += 1
        self.outcome.violations.append(Violation(kind, text, -1, -1))

    def _note(self, what: str) -> None:
        self.outcome.timeline.append((time.time(), what))


def _tracebacks(world: World) -> list[str]:
    return [
        f"{log.name}: {line.rstrip()}"
        for log in world.fleet.logs()
        for line in log.read_text(errors="replace").splitlines()
        if "Traceback" in line or "Assertion" in line
    ]
