"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable
from typing import TypeVar

# Far above what any of these waits takes; reached only when something is broken.
LONGEST_S = 180.0

Found = TypeVar("Found")


def until(found: Callable[[], Found], told: Callable[[], object] = str) -> Found:
    """Ask until something is found, at most `LONGEST_S`; `told` says why it wasn't."""
    deadline = time.monotonic() + LONGEST_S
    while not (value := found()):
        assert time.monotonic() < deadline, told()
        time.sleep(0.05)
    return value
