"""Which files of tests run first, and which on one process, where several processes share them."""

from collections.abc import Iterable

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# They take longest, on a quiet machine one to five minutes each, and so begin first: what begins
# late and lasts leaves the other processes without work at the end.
LONGEST = (
    "tests/chaos", "tests/chaos/test_outage.py", *(
        f"tests/integration/test_{name}.py"
        for name in ("pipeline", "replay", "model_swap", "demo", "compiled_native", "exactly_once",
                     "large_outputs", "lone_broker", "fuzzed_records")
    ),
)  # fmt: skip
# Mostly computing, while other tests mostly wait: a machine is busiest with some of both.
COMPUTING = "tests/unit/"
# Of the whole order, where the last that isn't mere computing stands: so it isn't what ends last.
WAITING_SHARE = 0.9
# Brokers with passwords and certificates are for these alone.
SECURE = tuple(
    f"tests/integration/test_{name}.py"
    for name in ("secure_kafka", "secure_worker", "operators_rights")
)


def unit_of(file: str) -> str:
    """What a file is run with: those that share brokers of their own, else itself."""
    # The outage has a broker of its own.
    if file.startswith("tests/chaos/") and file not in LONGEST:
        return "tests/chaos"
    return SECURE[0] if file in SECURE else file


def places(files: Iterable[str]) -> dict[str, float]:
    """Where in the whole order each file's unit stands: the longest first, computing throughout."""
    units = list(dict.fromkeys(map(unit_of, files)))
    computing = [unit for unit in units if unit.startswith(COMPUTING)]
    waiting = [unit for unit in LONGEST if unit in units]
    waiting += [unit for unit in units if unit not in {*computing, *waiting}]
    place = {unit: WAITING_SHARE * number / len(waiting) for number, unit in enumerate(waiting)}
    place |= {unit: (number + 0.5) / len(computing) for number, unit in enumerate(computing)}
    return place


class Scheduler(LoadFileScheduling):  # type: ignore[misc] # publishes no types
    """Gives each process one unit after the other, in the order of the collection."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        # Else by the number of tests: the longest files have few, and would begin last.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(super()._split_scope(nodeid))
