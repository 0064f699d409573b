"""Claims about the order of the tests' files, and about which run on one process."""

from pathlib import Path

from tests.scheduling import LONGEST, SECURE, places, unit_of

ROOT = Path(__file__).parents[2]
FILES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py"))


def test_files_that_are_named_are_there() -> None:
    """Who renames one of the longest files, or of those with brokers of their own, hears of it."""
    assert {unit_of(file) for file in FILES} >= {*LONGEST, SECURE[0]}
    assert set(FILES) >= set(SECURE)


def test_brokers_of_their_own_are_started_once() -> None:
    """All files that ask for the same brokers are one unit."""
    for fixture in ("secure_broker: ", "ground: "):
        asking = [file for file in FILES if fixture in (ROOT / file).read_text(encoding="utf-8")]
        assert (
            len({unit_of(file) for file in asking if file != "tests/unit/test_scheduling.py"}) == 1
        )


def test_the_longest_begin_and_the_quick_end() -> None:
    """The order begins with what takes longest, and nothing that waits for brokers is last."""
    place = places(FILES)
    ordered = sorted(place, key=lambda unit: place[unit])
    assert [unit for unit in ordered if not unit.startswith("tests/unit/")][:2] == [*LONGEST[:2]]
    assert all(unit.startswith("tests/unit/") for unit in ordered[-3:])
    assert {unit_of(file) for file in FILES} == set(place)
