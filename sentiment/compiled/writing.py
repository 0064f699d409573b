"""Writes explanations as JSON, their numbers eight digits at a time.

The digits of a number below 10^8 are worked out side by side in one 64-bit number, without a
branch: P. Khuong, "How to print integers really fast", 2017 (pvk.ca).
"""

from typing import Any

import numpy as np

from sentiment.compiled.native import jit, step, store8, trailing_zeros

# What parts are multiples of: eight digits after the point are one step of the arithmetic below.
UNITS = 100_000_000
# Numbers from here on might be rounded to more than eight digits before the point. No honest model
# has log-odds of ten million, and an explanation with them is not written.
TOO_LARGE = 1e7
# A place of six digits and the marks around it are eight bytes. A text of a million characters is
# no event: brokers take records of up to a mebibyte by default.
TOO_FAR = 1_000_000
# Places below it are ready made: most texts are not as long, and the tables stay in a first cache.
NEAR = 2048
# Two brackets, three commas, a sign, sixteen digits and a point, and two places in a text.
PART_BYTES = 48
# Everything else of an explanation: names, two numbers of 26 characters, the rest; and the bytes
# that may be written beyond the end.
FRAME_BYTES = 192

_LOG_ODDS, _INTERCEPT, _PARTS, _REST, _END, _NO_REST = (
    np.frombuffer(piece, np.uint8)
    for piece in (
        b'{"log_odds":', b',"intercept":', b',"parts":[', b'],"rest":', b"}", b"]",
    )
)  # fmt: skip
_POINT, _MINUS, _COMMA, _OPEN = map(ord, ".-,[")
_0, _3, _8, _10, _16, _20, _32 = (np.uint64(n) for n in (0, 3, 8, 10, 16, 20, 32))
_E4, _E8 = np.uint64(10_000), np.uint64(UNITS)
_HUNDRED, _TEN = np.uint64(100), np.uint64(10)
# n * 10486 >> 20 is n // 100 below 10^4, and n * 103 >> 10 is n // 10 below 100.
_BY_100, _BY_10 = np.uint64(10486), np.uint64(103)
_MASK_100, _MASK_10 = np.uint64(0x0000007F0000007F), np.uint64(0x000F000F000F000F)
_ASCII = np.uint64(0x3030303030303030)
# The last digit is written in any case.
_LAST = np.uint64(1 << 56)
# What stands before the digits of a part below 1, and around its places.
_PLUS_POINT, _MINUS_POINT = (np.uint64(int.from_bytes(b, "little")) for b in (b"[0.", b"[-0."))
_BEGINS, _ENDS = (
    np.array([int.from_bytes(form % place, "little") for place in range(NEAR)], np.uint64)
    for form in (b",%d,", b"%d],")
)
_CLOSE_COMMA = np.uint64(int.from_bytes(b"],", "little"))


@step
def eight_digits(number: Any) -> Any:
    """The digits of a uint64 below 10^8, each in a byte of its own, the first one lowest."""
    halves = number // _E4 | number % _E4 << _32
    hundreds = halves * _BY_100 >> _20 & _MASK_100
    pairs = hundreds | halves - hundreds * _HUNDRED << _16
    tens = pairs * _BY_10 >> _10 & _MASK_10
    return tens | pairs - tens * _TEN << _8


@step
def short_digits(number: Any) -> Any:
    """The characters of a uint64 below 10^8 without leading zeros, and 8 times how many."""
    digits = eight_digits(number)
    leading = trailing_zeros(digits | _LAST) >> _3 << _3
    return (digits | _ASCII) >> leading, np.uint64(64) - leading


@step
def begin_word(place: int) -> Any:
    """Where a part begins, as eight characters with the commas around it, and how many count."""
    if place < NEAR:
        return _BEGINS[place], 3 + (place >= 10) + (place >= 100) + (place >= 1000)
    digits, bits = short_digits(np.uint64(place))
    word = np.uint64(_COMMA) | digits << _8 | np.uint64(_COMMA) << bits + _8
    return word, np.int64(bits >> _3) + 2


@step
def end_word(place: int) -> Any:
    """The same of where it ends, with the bracket and the comma after it."""
    if place < NEAR:
        return _ENDS[place], 3 + (place >= 10) + (place >= 100) + (place >= 1000)
    digits, bits = short_digits(np.uint64(place))
    return digits | _CLOSE_COMMA << bits, np.int64(bits >> _3) + 2


@step
def open_part(units: Any, text: Any, at: Any) -> Any:
    """Write a bracket and an int64 of 10^-8 as a number of one; its size is below 10^16.

    Up to eight bytes more are written, here and below.

    Returns:
        Where it ends.
    """
    size = np.uint64(abs(units))
    if size < _E8:
        negative = units < 0
        store8(text, at, _MINUS_POINT if negative else _PLUS_POINT)
        at += 3 + np.int64(negative)
        store8(text, at, eight_digits(size) | _ASCII)
        return at + 8
    text[at] = _OPEN
    return write_units(units, text, at + 1)


@step
def write_units(units: Any, text: Any, at: Any) -> Any:
    """The same of any such number, without the bracket."""
    text[at] = _MINUS
    at = write_short(np.uint64(abs(units)) // _E8, text, at + np.int64(units < 0))
    text[at] = _POINT
    store8(text, at + 1, eight_digits(np.uint64(abs(units)) % _E8) | _ASCII)
    return at + 9


@step
def write_short(number: Any, text: Any, at: Any) -> Any:
    """Write a uint64 below 10^8."""
    digits, bits = short_digits(number)
    store8(text, at, digits)
    return at + np.int64(bits >> _3)


@jit
def write_float(number: float, text: Any, at: Any) -> Any:
    """Write a float below `TOO_LARGE` with sixteen digits after the point."""
    text[at] = _MINUS
    at += np.int64(number < 0.0)
    whole = np.floor(abs(number))
    rest = np.uint64(np.rint((abs(number) - whole) * 1e16))
    if rest == _E8 * _E8:
        whole, rest = whole + 1.0, _0
    at = write_short(np.uint64(whole), text, at)
    text[at] = _POINT
    store8(text, at + 1, eight_digits(rest // _E8) | _ASCII)
    store8(text, at + 9, eight_digits(rest % _E8) | _ASCII)
    return at + 17


@jit
def in_digits(spans: Any, size: int, words: Any, lengths: Any) -> None:
    """Write tokens' begins and ends once, for all parts that begin or end there.

    Args:
        spans: Begins and ends; as many rows as tokens.
        size: How many tokens there are.
        words: Gets their characters, see `begin_word`; shape (2, tokens), uint64.
        lengths: Gets how many these are; as many, int64.
    """
    for token in range(size):
        words[0, token], lengths[0, token] = begin_word(spans[token, 0])
        words[1, token], lengths[1, token] = end_word(spans[token, 1])


@jit
def write(
    z: float, intercept: float, words: Any, lengths: Any, order: Any, parts: int, amounts: Any,
    rest: float, cut: bool, json: Any, at: Any,
) -> Any:  # fmt: skip
    """Write an explanation from `at` on.

    What is written is the sum so far, rounded, less what was written before: so the parts add up to
    the whole with an error of half a unit, however many they are.

    Returns:
        Where it ends.
    """
    at = write_float(z, json, put(_LOG_ODDS, json, at))
    at = write_float(intercept, json, put(_INTERCEPT, json, at))
    at = put(_PARTS, json, at)
    total, written = 0.0, np.int64(0)
    for i in range(parts):
        total += amounts[order[2, i]]
        units = np.int64(np.rint(total * UNITS))
        at = open_part(units - written, json, at)
        written = units
        first, last = order[0, i], order[1, i]
        store8(json, at, words[0, first])
        at += lengths[0, first]
        store8(json, at, words[1, last])
        at += lengths[1, last]
    # The last comma goes.
    at -= np.int64(parts > 0)
    if cut:
        at = put(_REST, json, at)
        at = write_units(np.int64(np.rint((total + rest) * UNITS)) - written, json, at)
    else:
        at = put(_NO_REST, json, at)
    return put(_END, json, at)


@step
def put(piece: Any, json: Any, at: Any) -> Any:
    """Copy a piece of JSON, and tell where it ends."""
    for i in range(len(piece)):
        json[at + i] = piece[i]
    return at + len(piece)
