"""Reads the ranges of a remote file into their places in a local one, several at a time."""

import os
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Protocol

from sentiment.errors import SetupError
from trainer.progress import Say, ticking

# S3's own clients read in ranges of this size too: a request is little beside it, and so is what
# a `kill -9` loses.
RANGE_BYTES = 8 * 1024 * 1024
# Tries of one range without a byte of progress, and the seconds between them, doubled each time:
# 15 in all, longer than a server's restart and within a person's patience.
TRIES = 5
PAUSE_S = 1.0


class BrokenTransferError(Exception):
    """The line broke or was silent for too long: the same range may be tried again."""


class ChangedError(Exception):
    """The remote file is another one than when it was looked up."""


class Remote(Protocol):
    """A file somewhere else, as it was when it was looked up."""

    @property
    def uri(self) -> str:
        """Names it to people; without secrets."""

    @property
    def size(self) -> int:
        """Its bytes."""

    @property
    def tag(self) -> str:
        """Differs when its content does; empty: there is no telling."""

    @property
    def connections(self) -> int:
        """How many ranges may be read at a time; 0: it can only be read from its start."""

    def read(self, start: int, stop: int) -> Generator[bytes]:
        """The bytes from `start` up to `stop`, in blocks. Called from any thread.

        Raises:
            BrokenTransferError: Trying again may help.
            ChangedError: It isn't the same file any more.
            SentimentError: It can't be read at all.
        """

    def fault(self, path: Path) -> str:
        """Which of the checksums that are known for it a downloaded file fails; empty: none."""


class Transfer:
    """The ranges of one remote file on their way.

    Attributes:
        done: Bytes of each range that are there; may be set before `run`, to go on from there.

    Args:
        remote: What is read.
        save: Called after each range and at the end, however it ends: what `done` says by then
            is safely on the disk.
    """

    def __init__(self, remote: Remote, save: Callable[[], None]) -> None:
        self._remote, self._save = remote, save
        self._range_bytes = RANGE_BYTES if remote.connections else max(remote.size, 1)
        self.done = [0] * -(-remote.size // self._range_bytes)
        self._stop = threading.Event()
        # How many bytes came; None: a range is there; an error: it never will be.
        self._news: queue.SimpleQueue[int | BaseException | None] = queue.SimpleQueue()

    @property
    def missing(self) -> int:
        """How many bytes are still to come."""
        return self._remote.size - sum(self.done)

    def run(self, path: Path, say: Say) -> None:
        """Read what is missing.

        Args:
            path: Exists; each byte is written to its place.
            say: Told of progress.

        Raises:
            SetupError: The line breaks again and again.
            ChangedError: The remote file was changed meanwhile.
        """
        what = f"bytes of {self._remote.uri}"
        numbers = [n for n, done in enumerate(self.done) if done < self._length(n)]
        with (
            path.open("r+b", buffering=0) as file,
            ThreadPoolExecutor(max(1, self._remote.connections)) as pool,
        ):
            try:
                for number in numbers:
                    pool.submit(self._work, number, file.fileno())
                news = self._arrivals(len(numbers), file.fileno())
                for _ in ticking(news, say, what, total=self.missing, size=int):
                    pass
            finally:
                # Ctrl-C among others: ranges in work end with their next block.
                self._stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                os.fsync(file.fileno())
                self._save()

    def _arrivals(self, ranges: int, file: int) -> Iterator[int]:
        while ranges:
            news = self._news.get()
            if isinstance(news, BaseException):
                raise news
            if news is None:
                ranges -= 1
                # In this order, so that after a power cut what was saved is true.
                os.fsync(file)
                self._save()
            else:
                yield news

    def _work(self, number: int, file: int) -> None:
        try:
            self._fetch(number, file)
        except BaseException as error:  # noqa: BLE001 - raised where the news is read
            self._stop.set()
            self._news.put(error)
        else:
            self._news.put(None)

    def _fetch(self, number: int, file: int) -> None:
        """Read one range, trying again where that may help."""
        tries = 0
        while (before := self.done[number]) < self._length(number) and not self._stop.is_set():
            try:
                self._try(number, file)
            except BrokenTransferError as error:
                # What begins at the start each time makes no progress.
                progress = self._remote.connections and self.done[number] > before
                tries = 1 if progress else tries + 1
                if tries == TRIES:
                    raise SetupError(
                        f"The download of {self._remote.uri} broke off {TRIES} times: {error}.",
                        "Run the command again: it goes on from there.",
                    ) from error
                self._stop.wait(PAUSE_S * 2 ** (tries - 1))

    def _try(self, number: int, file: int) -> None:
        if not self._remote.connections:
            self.done[number] = 0
        start = number * self._range_bytes
        stop = start + self._length(number)
        with closing(self._remote.read(start + self.done[number], stop)) as blocks:
            for block in blocks:
                at = start + self.done[number]
                if at + len(block) > stop:
                    raise BrokenTransferError("more came than was asked for")
                _write(file, block, at)
                self.done[number] += len(block)
                self._news.put(len(block))
                if self._stop.is_set():
                    return
        if self.done[number] < self._length(number):
            raise BrokenTransferError("less came than was asked for")

    def _length(self, number: int) -> int:
        return min(self._range_bytes, self._remote.size - number * self._range_bytes)


def _write(file: int, block: bytes, at: int) -> None:
    while block:
        count = os.pwrite(file, block, at)
        block, at = block[count:], at + count
