"""Progress of long work, a line at a time, for terminals, logs and notebooks alike."""

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

Item = TypeVar("Item")
# Told a line about what is being done; `click.echo(line, err=True)` in the commands.
Say = Callable[[str], None]

# Often enough to look alive, seldom enough for a log.
INTERVAL_S = 2.0


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
