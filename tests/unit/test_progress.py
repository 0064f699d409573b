"""Claims about what is said of long work."""

import threading

import pytest

from trainer import progress
from trainer.progress import lasting, silent, ticking


def test_items_pass_through_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every item comes out once; the lines count them by their size."""
    monkeypatch.setattr(progress, "INTERVAL_S", -1)
    told: list[str] = []
    assert list(ticking(["ab", "c"], told.append, "letters", total=3, size=len)) == ["ab", "c"]
    assert told == ["2 of 3 letters", "3 of 3 letters"]
    assert list(ticking(iter("xy"), told.append, "letters")) == ["x", "y"]
    assert told[2:] == ["1 letters", "2 letters"]
    assert list(ticking("xyz", silent, "letters")) == ["x", "y", "z"]


def test_a_long_call_is_said_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines come while the block runs and end with it, whatever ends it."""
    monkeypatch.setattr(progress, "PATIENCE_S", 0.001)
    told, enough = [], threading.Event()

    def say(line: str) -> None:
        told.append(line)
        if len(told) == 2:
            enough.set()

    def work() -> None:
        with lasting(say, "fitting"):
            assert enough.wait(60)
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        work()
    assert told[:2] == ["fitting for 0 s …"] * 2
    assert threading.active_count() == before
