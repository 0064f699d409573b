"""Which sources and versions have rows of their own, so that windows fit into their memory.

Anybody who sends events names sources, and a window of each length exists for each of them. Beyond
these bounds they share rows: sums over all sources stay exact.

The worst case: 300,000 rows of 250 bytes and 100,000 windows of 500 are 125 MB. A process with
nothing has 100 MB, and records in hand and people's labels have as much again: it stays below the
chart's 512 MiB.
"""

from collections.abc import Iterable

from stream_worker.tallies import OTHER_SOURCE

# Stands for all versions beyond the bound.
OTHER_VERSION = OTHER_SOURCE
# Sources in all windows together. Each is a record on the topic of trends for every window that
# changes, and a line of /sources, which a person chooses from.
MAX_SOURCES = 1000
# Versions in all windows together: more than a month of a new model every day.
MAX_VERSIONS = 40
# Rows of all windows of one length; each length has its own bound, so that rows that are kept for a
# day don't use up those that are kept for an hour.
MAX_ROWS = 100_000
# Rows beyond, for versions alone: a flood of sources must not mix models up.
SPARE_ROWS = 20_000


class Names:
    """The sources and versions that have rows."""

    def __init__(self) -> None:
        # One copy of each, for a row otherwise has its own.
        self.sources: dict[str, str] = {}
        self._versions: dict[str, str] = {}

    def choose(
        self, source: str, version: str, rows: int, *, is_full: bool = False
    ) -> tuple[str, str]:
        """The names to count under.

        Args:
            source: What an event said.
            version: Of the model that answered.
            rows: That windows of this length have already.
            is_full: Whether this window has no place for another source.
        """
        if rows >= MAX_ROWS + SPARE_ROWS:
            return OTHER_SOURCE, OTHER_VERSION
        version = _known(self._versions, version, MAX_VERSIONS, OTHER_VERSION)
        if is_full or rows >= MAX_ROWS:
            return OTHER_SOURCE, version
        return _known(self.sources, source, MAX_SOURCES, OTHER_SOURCE), version

    def keep(self, used: Iterable[tuple[str, str]]) -> None:
        """Forget all but these sources and versions."""
        pairs = set(used)
        self.sources = {source: source for source, _ in pairs if source != OTHER_SOURCE}
        self._versions = {version: version for _, version in pairs if version != OTHER_VERSION}


def _known(known: dict[str, str], name: str, most: int, other: str) -> str:
    if name == other or (name not in known and len(known) >= most):
        return other
    return known.setdefault(name, name)
