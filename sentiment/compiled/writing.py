"""Numbers as digits, eight at a time, for the JSON of explanations.

The digits of a number below 10^8 are worked out side by side in one 64-bit number, without a branch:
P. Khuong, "How to print integers really fast", 2017 (pvk.ca).
"""

from typing import Any

import numpy as np

from sentiment.compiled.native import jit, step, store8, trailing_zeros

# What parts are multiples of: eight digits after the point are one step of the arithmetic below.
UNITS = 100_000_000
# Numbers from here on have more than eight digits before the point. No honest model has log-odds of
# a hundred million, and an explanation with them is not written.
TOO_LARGE = 1e8

_POINT, _ZERO, _MINUS = map(ord, ".0-")
_3, _8, _10, _16, _20, _32 = (np.uint64(n) for n in (3, 8, 10, 16, 20, 32))
_E4, _E8 = np.uint64(10_000), np.uint64(UNITS)
_HUNDRED, _TEN = np.uint64(100), np.uint64(10)
# n * 10486 >> 20 is n // 100 below 10^4, and n * 103 >> 10 is n // 10 below 100.
_BY_100, _BY_10 = np.uint64(10486), np.uint64(103)
_MASK_100, _MASK_10 = np.uint64(0x0000007F0000007F), np.uint64(0x000F000F000F000F)
_ASCII = np.uint64(0x3030303030303030)
# The last digit is written in any case.
_LAST = np.uint64(1 << 56)


@step
def eight_digits(number: Any) -> Any:
    """The digits of a uint64 below 10^8, each in a byte of its own, the first one lowest."""
    halves = number // _E4 | number % _E4 << _32
    hundreds = halves * _BY_100 >> _20 & _MASK_100
    pairs = hundreds | halves - hundreds * _HUNDRED << _16
    tens = pairs * _BY_10 >> _10 & _MASK_10
    return tens | pairs - tens * _TEN << _8


@step
def write_whole(number: Any, text: Any, at: Any) -> Any:
    """Write a uint64 without leading zeros; eight bytes beyond may be written too.

    Returns:
        Where it ends.
    """
    if number >= _E8:
        at = write_whole_short(number // _E8, text, at)
        store8(text, at, eight_digits(number % _E8) | _ASCII)
        return at + 8
    return write_whole_short(number, text, at)


@step
def write_whole_short(number: Any, text: Any, at: Any) -> Any:
    """The same for one below 10^8, which most are."""
    digits = eight_digits(number)
    leading = trailing_zeros(digits | _LAST) >> _3
    store8(text, at, (digits | _ASCII) >> (leading << _3))
    return at + 8 - np.int64(leading)


@step
def write_units(units: Any, text: Any, at: Any) -> Any:
    """Write an int64 of 10^-8 as a number of one; its size is below 10^16. As above."""
    text[at] = _MINUS
    at += np.int64(units < 0)
    size = np.uint64(abs(units))
    if size < _E8:
        text[at] = _ZERO
        at += 1
    else:
        at = write_whole_short(size // _E8, text, at)
    text[at] = _POINT
    store8(text, at + 1, eight_digits(size % _E8) | _ASCII)
    return at + 9


@jit
def write_float(number: float, text: Any, at: Any) -> Any:
    """Write a float below `TOO_LARGE` with sixteen digits after the point. As above."""
    text[at] = _MINUS
    at += np.int64(number < 0.0)
    whole = np.floor(abs(number))
    rest = np.uint64(np.rint((abs(number) - whole) * 1e16))
    if rest == _E8 * _E8:
        whole, rest = whole + 1.0, np.uint64(0)
    at = write_whole(np.uint64(whole), text, at)
    text[at] = _POINT
    store8(text, at + 1, eight_digits(rest // _E8) | _ASCII)
    store8(text, at + 9, eight_digits(rest % _E8) | _ASCII)
    return at + 17
