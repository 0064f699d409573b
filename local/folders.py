"""The folder that a local Kafka keeps its data in: one owner, room enough, one shape."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from sentiment.errors import SetupError

# Kafka's own files take a few; the rest is for what is sent. Below it, brokers die in mid-work.
FREE_MB = 200


def lock(folder: Path, brokers: int) -> IO[str]:
    """Take a folder for ourselves.

    Args:
        folder: The data of a local Kafka; made if missing.
        brokers: How many brokers keep their data in it, each in `broker-N`.

    Returns:
        The file to close when the folder is free for others again.

    Raises:
        SetupError: Somebody has it, it can't be written, or it is that of another cluster.
    """
    with stored(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    with ExitStack() as stack:
        stack.callback(file.close)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(
                f"Another local Kafka runs on the data in {folder}.",
                "Stop it, or choose another folder with --data-dir.",
            ) from None
        require_space(folder)
        there = len(list(folder.glob("broker-*")))
        if there not in {0, brokers}:
            raise SetupError(
                f"The data in {folder} is that of {there} brokers, not of {brokers}.",
                f"Say --brokers {there}, or choose another folder with --data-dir.",
            )
        with stored(folder):
            for number in range(brokers):
                (folder / f"broker-{number}").mkdir(exist_ok=True)
        stack.pop_all()
    return file


@contextmanager
def stored(folder: Path) -> Iterator[None]:
    """Turn a full disk or a folder that is not ours into a sentence."""
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"Data can't be stored in {folder}: {error.strerror}.",
            "Make room, or choose another folder with --data-dir.",
        ) from None


def require_space(folder: Path) -> None:
    """Raise a `SetupError` when the disk is as good as full."""
    free_mb = shutil.disk_usage(folder).free // 2**20
    if free_mb < FREE_MB:
        raise SetupError(
            f"Only {free_mb} MB are free in {folder}; at least {FREE_MB} are needed.",
            "Make room, or choose another folder with --data-dir.",
        )
