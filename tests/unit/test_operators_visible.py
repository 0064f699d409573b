"""Claims about foreign bytes on the operators' page."""

import pytest
from hypothesis import given, strategies as st

from web.operators.pages import visible


def seen(value: bytes | str | None, limit: int = 1000) -> list[tuple[str, bool]]:
    """The parts as plain tuples."""
    return [(part.text, part.escaped) for part in visible(value, limit).parts]


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (b"plain <b>\xc3\xa9", [("plain <b>\u00e9", False)]),
        (b"a\xff\x00b", [("a", False), (r"\xff\x00", True), ("b", False)]),
        ("\u202ea", [(r"\u202e", True), ("a", False)]),
        (r"\x00", [(r"\x00", False)]),
        (b"a\r\nb", [("a", False), (r"\r\n", True), ("\nb", False)]),
        ("\ud800", [(r"\ud800", True)]),
        (None, []),
    ],
)  # fmt: skip
def test_what_acts_or_hides_is_escaped_apart(
    value: bytes | str | None, parts: list[tuple[str, bool]]
) -> None:
    """Controls, bidi marks, lone surrogates and bytes that are no UTF-8 are parts of their own."""
    assert seen(value) == parts


@given(st.binary(max_size=200))
def test_nothing_else_reaches_the_page(value: bytes) -> None:
    """Whatever the bytes, all that is shown is printable, but for line ends after their escape."""
    for text, escaped in seen(value):
        assert (text.removeprefix("\n") if not escaped else text).isprintable()


def test_long_values_are_cut_and_counted() -> None:
    """No more than the limit is shown, and how much is left is told."""
    cut = visible("x" * 12, 10)
    assert (cut.parts[0].text, cut.more) == ("x" * 10, 2)
