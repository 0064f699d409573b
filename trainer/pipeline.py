"""What `make train` runs: all stages of dvc.yaml, and the time of each.

`python -m trainer.pipeline [DATA]`, in the project's root. DATA is the folder that relative sources
are below; without it, `SENTIMENT_DATA` is, or `data/source`.
"""

import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from sentiment.cli import fail
from sentiment.errors import InputError, SentimentError
from trainer import tables

_BEGINS = re.compile(r"Running stage '(.+)':")
# `getrusage` counts in KiB, but for macOS.
_MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024


def run(data: Path | None) -> int:
    """Run `dvc repro`, print the time and memory of the stages, and return its exit code.

    Raises:
        InputError: There is no such folder.
    """
    # The stages' commands are this environment's own, whether or not it was activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}
    if data is not None:
        if not data.is_dir():
            raise InputError(
                f"There is no folder {data}.",
                "Give the folder with the files that params.yaml names: make train DATA=FOLDER",
            )
        environment["SENTIMENT_DATA"] = str(data.absolute())
    dvc = [sys.executable, "-m", "dvc"]
    if not tables.git("rev-parse", "--git-dir"):
        # DVC refuses to work without Git unless it is configured so.
        subprocess.run(  # noqa: S603 - our own interpreter, with arguments of ours
            [*dvc, "config", "--local", "core.no_scm", "true"], check=True, env=environment
        )
    started = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - as above
        [*dvc, "repro"], env=environment, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        stages = list(_stages(process.stdout))
        code = process.wait()
    except KeyboardInterrupt:
        # The stage was interrupted too, and cleans up.
        process.wait()
        raise
    for name, seconds in stages:
        click.echo(f"{name:<20} {_clock(seconds)}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _MEMORY_UNIT / 1e9
    click.echo(f"{'all':<20} {_clock(time.monotonic() - started)}, at most {peak:.1f} GB at a time")
    return code


def _stages(lines: Iterator[str]) -> Iterator[tuple[str, float]]:
    """Pass DVC's lines on; give each stage that it ran, with the seconds that it took."""
    name, begun = "", 0.0
    for line in lines:
        click.echo(line, nl=False)
        if begins := _BEGINS.match(line):
            if name:
                yield name, time.monotonic() - begun
            name, begun = begins[1], time.monotonic()
    if name:
        yield name, time.monotonic() - begun


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:>3} min {int(seconds) % 60:02} s"


@click.command()
@click.argument("data", type=click.Path(path_type=Path), required=False)
def main(data: Path | None) -> None:
    """Run the stages that anything has changed for; files of sources are below DATA."""
    try:
        sys.exit(run(data))
    except SentimentError as error:
        sys.exit(fail(error))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
