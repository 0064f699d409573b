"""All brokers away for minutes: what waits for them waits, says so, and goes on when they are back.

`make outage MINUTES=10 BROKERS=3`, or `python -m tests.chaos.outage --how garbage`. Beside workers
and trends there are a page, a replay, and a worker that is started while nobody answers.
"""

import json
import logging
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import click
import psutil

from tests.chaos import records, report, world
from tests.chaos.report import Outcome
from tests.chaos.round import Round
from tests.chaos.workers import clients_of
from tests.chaos.world import Protocol, World
from tests.integration.pages import PageProcess
from tests.processes import until

How = Literal["hang", "stop", "closes", "garbage", "nobody"]
# Enough for any machine: no more are sent once everybody has gone on.
EVENTS = 100_000
# Events of a second before and after; the replay takes longer than that for them.
RATE, REPLAY_RATE = 100.0, 50.0
# Until everybody has found out, on a busy machine: a commit's and a probe's time limits.
NOTICED_S = 60.0
# Until a page or a replay has begun, on a machine as busy.
BEGUN_S = 180.0
# From the brokers' return to the next result: reconnecting, a new session, a coordinator's start.
BACK_S = 120.0
LOOK_S = 0.5
# Of Kafka, that a program has at a time: a worker has five, and a sixth while one takes another's
# place. Each try that leaves one behind adds three or four a minute.
MOST_CLIENTS = 6
ACCEPTED = 202


@dataclass
class Outage:
    """An outage of all brokers, in the middle of a round, with its logs in a folder."""

    own: World
    folder: Path
    # What clients find, one after the other, and how long all of it lasts.
    how: tuple[How, ...]
    seconds: float
    # Told of progress.
    say: Callable[[str], None]
    # What did not hold.
    wrong: list[str] = field(default_factory=list)
    # By who, the seconds from the brokers' return until it went on.
    back_s: dict[str, float] = field(default_factory=dict)
    # By program, how many clients of Kafka it had when they returned.
    clients: dict[str, int] = field(default_factory=dict)

    def run(self) -> Outcome:
        """A whole round with it; the outcome has what was lost or doubled."""
        name = f"{self.own.group}-again"
        command = [*self.own.engine.command[:-1], "replay", "--from", "beginning"]
        command += ["--output-topic", name, "--rate", str(REPLAY_RATE), "--json"]
        environment = self.own.fleet.environment
        with ExitStack() as ends:
            page = PageProcess(self.folder / "page.log", **environment)
            ends.callback(page.end)

            def meanwhile() -> None:
                traffic = self.own.traffic
                traffic.rate = RATE
                until(lambda: self._is_connected(page), "the page connects", BEGUN_S)
                with (self.folder / "replay.log").open("wb") as log:
                    replay = subprocess.Popen(
                        command, stdout=subprocess.PIPE, stderr=log, env=environment
                    )
                try:
                    until(lambda: _count(self.own, name) > 0, "the replay has results", BEGUN_S)
                    self._away(page, replay)
                    self._back(page)
                    traffic.count = traffic.sent
                    out, _ = replay.communicate(timeout=traffic.count / REPLAY_RATE + BACK_S)
                    self._check_replay(name, replay.returncode, out)
                finally:
                    replay.kill()
                    replay.communicate()

            protocol = self.own.fleet.environment["WORKER_GROUP_PROTOCOL"]
            return Round(self.own, [], protocol, self.say).run(meanwhile)

    def _away(self, page: PageProcess, replay: "subprocess.Popen[bytes]") -> None:
        own = self.own
        # What nobody can take need not be made up for afterwards.
        own.traffic.rate = 0
        began = time.monotonic()
        for number, how in enumerate(self.how):
            self.say(f"brokers away: {how}")
            self._start(how)
            if number == 0:
                own.fleet.scale(own.workers + 1)
            ends = began + self.seconds * (number + 1) / len(self.how)
            while time.monotonic() < ends:
                own.tend()
                time.sleep(LOOK_S)
            if number == 0:
                try:
                    until(lambda: self._says_so(page), "workers and page say so", NOTICED_S)
                except TimeoutError as error:
                    self.wrong.append(str(error))
            if number + 1 < len(self.how):
                self._end(how)
        self.clients = clients()
        self.wrong += [
            f"{who} has {count} clients of Kafka: each try leaves one behind"
            for who, count in self.clients.items()
            if count > MOST_CLIENTS
        ]
        for who, process in (("page", page.process), ("replay", replay)):
            if process.poll() is not None:
                self.wrong.append(f"the {who} ended with code {process.returncode}")
        ended = {why for why in own.fleet.exits + own.trends.exits if "by itself" in why}
        if ended:
            self.wrong.append(f"ended meanwhile: {sorted(ended)}")

    def _start(self, how: How) -> None:
        cluster = self.own.cluster
        if how == "hang":
            for number in range(len(cluster.ports)):
                cluster.pause(number)
        elif how == "stop":
            cluster.end_all()
        else:
            self.own.proxy.go_away(how)

    def _end(self, how: How) -> None:
        self.own.proxy.go_away("")
        if how in {"hang", "stop"}:
            self.own.cluster.heal()

    def _back(self, page: PageProcess) -> None:
        own = self.own
        self._end(self.how[-1])
        own.cluster.wait_until_ready()
        since = time.monotonic()
        self.say("brokers back")
        seen = page.ask("/api/status")[1]["results_seen"]
        until(lambda: own.done() is not None, "the brokers tell what is committed", NOTICED_S)
        done = own.done() or 0
        own.traffic.rate = RATE
        waiting: dict[str, Callable[[], bool]] = {
            "workers": lambda: (own.done() or 0) > done + RATE,
            "page": lambda: self._answers(page, seen),
        }
        while waiting and time.monotonic() - since < BACK_S:
            for who in [who for who, is_back in waiting.items() if is_back()]:
                del waiting[who]
                self.back_s[who] = round(time.monotonic() - since, 1)
            own.tend()
            time.sleep(LOOK_S)
        self.wrong += [f"the {who} did not go on in {BACK_S:.0f} s" for who in waiting]

    def _says_so(self, page: PageProcess) -> bool:
        said = [_ready(port) for port in self.own.fleet.ports()] + [_ready(page.port)]
        return all("Kafka" in text or "brokers" in text.lower() for text in said)

    def _is_connected(self, page: PageProcess) -> bool:
        try:
            return bool(page.ask("/api/status")[1]["kafka"]["connected"])
        except OSError:
            return False

    def _answers(self, page: PageProcess, seen: int) -> bool:
        """Whether the page has new results, and its label for one gets to Kafka."""
        if page.ask("/api/status")[1]["results_seen"] <= seen:
            return False
        label = {"id": "a", "label": "positive", "sentiment": "positive"}
        model = {"name": "sentiment", "version": "1"}
        return page.ask("/api/feedback", {**label, "model": model})[0] == ACCEPTED

    def _check_replay(self, name: str, code: int, out: bytes) -> None:
        if code:
            self.wrong.append(f"the replay ended with code {code}")
            return
        figures = json.loads(out)
        if not figures["finished"] or _count(self.own, name) != figures["results"]:
            self.wrong.append(f"the replay's topic has {_count(self.own, name)}: {figures}")


def clients() -> dict[str, int]:
    """How many clients of Kafka each program that we have started has, by the threads of each."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            words = process.cmdline()
            if "sentiment" in words:
                name = f"{words[words.index('sentiment') + 1]} {process.pid}"
                found[name] = clients_of(process.pid)
    return found


def _count(own: World, topic: str) -> int:
    """Committed records of a topic; 0 while there is none."""
    if topic not in own.cluster.admin.list_topics(timeout=NOTICED_S).topics:
        return 0
    return sum(1 for _ in records.committed(own.settings.kafka, topic))


def _ready(port: int) -> str:
    """What a readiness probe is told; empty where the process is ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()
    except OSError as error:
        return str(error)


@click.command()
@click.option("--minutes", type=float, default=1.5, show_default=True, help="How long it lasts.")
@click.option("--brokers", type=click.IntRange(1, 3), default=1, show_default=True)
@click.option("--protocol", type=click.Choice(get_args(Protocol)), default="consumer")
@click.option(
    "--how", type=click.Choice(get_args(How)), multiple=True,
    help="What clients find in place of the brokers; several share the time.  [default: all]",
)  # fmt: skip
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("build/outage"),
    show_default=True, help="Where data and logs go.",
)  # fmt: skip
def outage(
    minutes: float, brokers: int, protocol: Protocol, how: tuple[How, ...], folder: Path
) -> None:
    """Take all brokers away for a time, and see that everything waits for them and goes on."""
    logging.basicConfig(level=logging.CRITICAL)  # librdkafka's complaints are what we cause
    home = folder.resolve() / time.strftime("%Y%m%d-%H%M%S")
    home.mkdir(parents=True)
    with world.running(home, brokers) as ground:
        own = world.make(home / "run", *ground, protocol=protocol, events=EVENTS)
        run = Outage(own, home / "run", how or get_args(How), minutes * 60, click.echo)
        outcome = run.run()
    click.echo(report.as_text([outcome]))
    click.echo(f"went on, in seconds after the brokers' return: {run.back_s}")
    click.echo(f"clients of Kafka: {run.clients}")
    click.echo("wrong: " + ("; ".join(run.wrong) or "nothing"))
    if run.wrong or outcome.counts or outcome.tracebacks:
        click.echo(f"FAILED; everything is kept in {home}")
        sys.exit(1)


if __name__ == "__main__":
    outage()
