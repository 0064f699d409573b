"""Progress of long work, a line at a time, for terminals, logs and notebooks alike."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
# Told a line about what is being done; `click.echo(line, err=True)` in the commands.
Say = Callable[[str], None]

# Often enough to look alive, seldom enough for a log.
INTERVAL_S = 2.0
# Of one long call of a library, there is nothing to say but that it goes on.
PATIENCE_S = 15.0


def silent(line: str) -> None:
    """Says nothing; what functions use that nobody listens to."""
    del line


def ticking(
    items: Iterable[Item],
    say: Say,
    what: str,
    *,
    total: int | None = None,
    size: Callable[[Item], int] = lambda _: 1,
) -> Iterator[Item]:
    """Pass items through, saying every two seconds how many there were.

    Args:
        items: What is worked on.
        say: Told the lines.
        what: Follows the number, such as `texts`.
        total: How many there will be; None: the length of `items` where it has one.
        size: How much one item counts.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    done, shown = 0, time.monotonic()
    for item in items:
        yield item
        done += size(item)
        if time.monotonic() - shown > INTERVAL_S:
            shown = time.monotonic()
            say(f"{done:,} of {total:,} {what}" if total else f"{done:,} {what}")


@contextmanager
def lasting(say: Say, what: str) -> Iterator[None]:
    """Say now and then that the block goes on: a call of a library tells nothing.

    Args:
        say: Told the lines, from a thread of its own.
        what: What is being done, such as `fitting`.
    """
    over, started = threading.Event(), time.monotonic()

    def tell() -> None:
        while not over.wait(PATIENCE_S):
            say(f"{what} for {time.monotonic() - started:.0f} s …")

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
