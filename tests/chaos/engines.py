"""What is put under fire: our worker, or another stream processor with the same job."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from benchmarks import candidates

Protocol = Literal["consumer", "classic"]


@dataclass(frozen=True)
class Engine:
    """One stream processor.

    Attributes:
        command: Starts one process of it.
        protocols: The group protocols that it knows.
        is_ours: Whether it makes dead letters and tallies, and keeps the input's partitions.
        environment: Its own.
    """

    command: tuple[str, ...]
    protocols: tuple[Protocol, ...]
    is_ours: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


WORKER = Engine(
    (sys.executable, "-m", "sentiment", "worker"),
    ("consumer", "classic"),
    is_ours=True,
)
PEERS: dict[str, tuple[str, dict[str, str]]] = {
    "quix": ("quix", {}),
    "faust": ("faust", {"PROCESSING_GUARANTEE": "at_least_once"}),
    "faust-exactly-once": ("faust", {"PROCESSING_GUARANTEE": "exactly_once"}),
}


def engine(name: str | None) -> Engine:
    """Our worker, or a peer in an environment of its own, which is made at first use.

    Raises:
        SetupError: The environment can't be made.
    """
    if name is None:
        return WORKER
    module, environment = PEERS[name]
    python = str(candidates.ensure(module))
    command = (python, "-m", f"tests.chaos.peers.{module}")
    return Engine(command, ("classic",), environment=environment)
