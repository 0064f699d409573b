"""The machine that a run happens on, and the Kafka that it starts there."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

# A cold start downloads the jars, which takes about half a minute.
STOP_S = 30.0


@contextmanager
def local_kafka(work: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A local Apache Kafka with its data in `work`; gives its address and its process."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "sentiment", "kafka", "--port", "0", "--json"),
            *("--data-dir", str(work / "kafka")),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise RuntimeError("the local Kafka did not start; its message stands above")
        yield json.loads(line)["bootstrap_servers"], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(STOP_S)


def describe() -> dict[str, str | int | None]:
    """What a reader of the figures has to know of the machine."""
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
    }
