"""`make bench`: one run over all candidates, a table of ratios, and the figures as JSON."""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path

import click
from confluent_kafka.cimpl import NewTopic

from benchmarks import events, machine
from benchmarks.measure import Progress, rate, running
from sentiment import kafka, logs, topics
from sentiment.publish import ensure_published
from sentiment.settings import Settings

# The backlog that a candidate works through; a quick run says the same less sharply.
EVENTS, QUICK_EVENTS = 300_000, 100_000
# Over this many events the worker's memory has to stay flat.
MEMORY_EVENTS = 1_000_000
# A slow peer is measured for this long, not until it is through.
LONGEST_S, QUICK_LONGEST_S = 60.0, 20.0


@click.command()
@click.option("--quick", is_flag=True, help="A third of the events, and no memory run.")
@click.option("--output", type=Path, default=Path("build/bench.json"), help="Where the JSON goes.")
def main(*, quick: bool, output: Path) -> None:
    """Measure the model beside scikit-learn, then the worker beside its limit and a Faust agent."""
    logs.configure()
    _say("measuring the compiled model beside scikit-learn and VADER, on one core")
    scoring = _scoring()
    count = QUICK_EVENTS if quick else EVENTS
    longest_s = QUICK_LONGEST_S if quick else LONGEST_S
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["KAFKA_BOOTSTRAP_SERVERS"] = stack.enter_context(machine.local_kafka(work))
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{work}/mlflow.db"
        os.environ["MODEL_CACHE_DIR"] = str(work / "models")
        os.environ["WORKER_HTTP_PORT"] = "0"
        ensure_published(tracking_uri=os.environ["MLFLOW_TRACKING_URI"])
        settings = Settings()
        topics.create(settings)
        _say(f"putting {count:,} events of {events.WORDS_PER_TEXT} words on the topic")
        events.fill(settings, count, seed=1)
        figures = {
            "copy loop": _copy(settings, work, count, longest_s),
            "worker": _worker(settings, work, count, longest_s),
            "Faust, per event": _faust(settings, work, count, longest_s),
        }
        memory = None if quick else _memory(settings, work, count)
    report = {
        "events": count,
        "words_per_text": events.WORDS_PER_TEXT,
        "partitions": settings.topics.partitions,
        "events_per_second": figures,
        "worker_over_copy_loop": figures["worker"] / figures["copy loop"],
        "worker_over_faust_per_event": figures["worker"] / figures["Faust, per event"],
        "worker_memory_mib": memory,
        "scoring": scoring,
        "machine": machine.describe(),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report, indent=2) + "\n")
    _show(figures, memory)
    _say(f"figures written to {output}")


def _scoring() -> dict[str, object]:
    """In a process of its own, which keeps to one core; it prints its table."""
    with tempfile.TemporaryDirectory() as work:
        output = Path(work) / "scoring.json"
        command = [sys.executable, "-m", "benchmarks.scoring", "--output", str(output)]
        subprocess.run(command, check=True)
        found: dict[str, object] = json.loads(output.read_text())
    return found


def _copy(settings: Settings, work: Path, count: int, longest_s: float) -> float:
    group, target = _name("copy"), _output(settings)
    _say("measuring the bare transactional copy loop")
    done = Progress(settings, settings.topics.events, group)
    with running(work / "copy.log", "benchmarks.copy_loop", group, target):
        return _rate(done, count, longest_s)


def _worker(settings: Settings, work: Path, count: int, longest_s: float) -> float:
    os.environ["WORKER_GROUP_ID"] = group = _name("worker")
    _say("measuring the worker, exactly once")
    done = Progress(settings, settings.topics.events, group)
    with running(work / "worker.log", "sentiment", "worker"):
        return _rate(done, count, longest_s)


def _faust(settings: Settings, work: Path, count: int, longest_s: float) -> float:
    group, target = _name("faust"), _output(settings)
    _say("measuring a plain Faust agent, the same model per event")
    # Faust commits every few seconds; what it has written is the finer measure.
    done = Progress(settings, target, None)
    with running(work / "faust.log", "benchmarks.faust_agent", group, target):
        return _rate(done, count, longest_s)


def _memory(settings: Settings, work: Path, count: int) -> dict[str, float]:
    """Resident memory of a worker at a tenth, half and all of a million events, in MiB."""
    _say(f"measuring the worker's memory over {MEMORY_EVENTS:,} events")
    events.fill(settings, MEMORY_EVENTS - count, seed=2)
    os.environ["WORKER_GROUP_ID"] = group = _name("memory")
    seen: dict[str, float] = {}
    with running(work / "memory.log", "sentiment", "worker") as process:
        done = Progress(settings, settings.topics.events, group)
        for share in (0.1, 0.5, 1.0):
            while done() < share * MEMORY_EVENTS:
                time.sleep(0.1)
            seen[f"{share:.0%}"] = process.memory_info().rss / 2**20
        done.close()
    return seen


def _rate(done: Progress, count: int, longest_s: float) -> float:
    try:
        return rate(done, count, longest_s)
    finally:
        done.close()


def _output(settings: Settings) -> str:
    """A topic of its own for one candidate's output."""
    name = _name("bench-output")
    topic = NewTopic(name, settings.topics.partitions, 1)
    # Kept by a name: a client that is let go of takes its open calls with it.
    admin = kafka.new_admin(settings.kafka)
    for future in admin.create_topics([topic]).values():
        future.result(timeout=30)
    return name


def _name(what: str) -> str:
    return f"{what}-{uuid.uuid4().hex[:8]}"


def _show(figures: dict[str, float], memory: dict[str, float] | None) -> None:
    ours = figures["worker"]
    print(f"\n{'candidate':<22}{'events/s':>12}{'worker is … times as fast':>30}")
    for name, figure in figures.items():
        print(f"{name:<22}{figure:>12,.0f}{ours / figure:>30.2f}")
    if memory:
        shown = ", ".join(f"{value:.0f} MiB at {share}" for share, value in memory.items())
        print(f"\nworker's memory over {MEMORY_EVENTS:,} events: {shown}")


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what} …", file=sys.stderr)


if __name__ == "__main__":
    main()
