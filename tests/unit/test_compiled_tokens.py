"""Claims about the tokens that the native loop finds."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from sentiment.model.compiled import build, linear
from sentiment.model.compiled.characters import CONTEXTUAL, characters
from sentiment.model.compiled.scorer import new_scratch, padded
from sentiment.model.compiled.table import Table
from sentiment.model.compiled.tokenise import (
    NEGATOR,
    OURS,
    SKLEARN,
    STOP_WORD,
    our_tokens,
    sklearn_tokens,
)
from sentiment.model.compiled.words import IN_CONTEXT, decode
from sentiment.model.text import NEGATORS, SCOPE, tokens
from tests.unit.texts import PIECES, TEXTS

SEED = np.uint64(build.SEEDS[0])
STOP_WORDS = {"the": STOP_WORD, "film": STOP_WORD}


def hashed(words: list[str]) -> list[int]:
    """The hashes of tokens as the table holds them."""
    hashes: NDArray[np.uint64] = build.token_hashes(words, SEED)
    listed: list[int] = hashes.tolist()
    return listed


def table(rules: int) -> Table:
    """The table of an empty model, for its characters and special words."""
    special = dict.fromkeys(NEGATORS, NEGATOR) if rules == OURS else STOP_WORDS
    grams = [(np.array([0]), np.array([[0]]))]
    return build.build(
        linear.Linear(
            ["x"], grams, np.ones(1), rules, 1, special=special, short=np.ones(1), long=np.ones(1)
        )
    )


OUR_TABLE, SKLEARN_TABLE = table(OURS), table(SKLEARN)


def natives(
    texts: Sequence[bytes], rules: int = OURS, *, lowers: bool = True
) -> Iterator[tuple[list[int], list[bytes]]]:
    """What the loop finds in each text: hashes, and the bytes that each stands for."""
    scratch = new_scratch(max(map(len, texts)) + 1, 1, 1, explains=True)
    data = padded(texts)
    made = OUR_TABLE if rules == OURS else SKLEARN_TABLE
    table = made.pages, made.entries, made.words, SEED
    begin = 0
    for encoded in texts:
        end = begin + len(encoded)
        if rules == OURS:
            count = our_tokens(
                data, begin, end, *table, SCOPE, scratch.cuts, scratch.keys, scratch.spans
            )
        else:
            count = sklearn_tokens(data, begin, end, *table, lowers, scratch.keys, scratch.spans)
        if count == IN_CONTEXT:
            raise AssertionError("a letter's case hangs on context")
        spans = (scratch.spans[:count] - begin).tolist()
        yield scratch.keys[:count].tolist(), [encoded[first:last] for first, last in spans]
        # Each has a line feed after it.
        begin = end + 1


def native(
    encoded: bytes, rules: int = OURS, *, lowers: bool = True
) -> tuple[list[int], list[bytes]]:
    """The same for one text."""
    [found] = natives([encoded], rules, lowers=lowers)
    return found


def utf8(text: str) -> bytes:
    """UTF-8, halves of surrogate pairs as they are."""
    return text.encode("utf-8", "surrogatepass")


def check(texts: Iterable[str]) -> None:
    """Compare the loop's tokens with those of `sentiment.model.text`, in their order."""
    texts = [text if set(CONTEXTUAL).isdisjoint(text) else text.lower() for text in texts]
    expected = list(map(tokens, texts))
    hashes = iter(hashed(list(chain.from_iterable(expected))))
    found = natives(list(map(utf8, texts)))
    for text, words, (keys, _) in zip(texts, expected, found, strict=True):
        assert keys == list(islice(hashes, len(words))), ascii(text)


@settings(max_examples=500)
@given(TEXTS)
def test_finds_the_tokens_of_the_rules(text: str) -> None:
    """Whatever the text, the loop's tokens are those of `sentiment.model.text`, in their order."""
    if not set(CONTEXTUAL).isdisjoint(text):
        with pytest.raises(AssertionError, match="context"):
            # Only where it hangs on a neighbour, which is never seen too late.
            native(utf8(text))
    check([text])


def test_every_piece_counts_as_the_rules_say_beside_every_other() -> None:
    """All pairs of what the rules are about, joined and apart, and many of their triples."""
    check(
        f"{one}{between}{other}" for one, other in product(PIECES, PIECES) for between in ("", " ")
    )
    # Prime, so that it falls in step with neither number of pieces.
    check(map("".join, islice(product(PIECES, PIECES, PIECES), 0, None, 29)))


@pytest.mark.parametrize("before", ["", "a", "not ", "it 's ", "\u2019", "<b", "@", "!", "x'"])
def test_every_character_counts_as_the_rules_say(before: str) -> None:
    """Characters from all over Unicode, after and before each kind of neighbour."""
    letters = map(chr, chain(range(0x3000), range(0x3000, sys.maxunicode + 1, 53)))
    check(f"{before}{letter}a" for letter in letters if letter not in CONTEXTUAL)


@settings(max_examples=400)
@given(TEXTS, st.booleans())
def test_finds_the_tokens_of_sklearn(text: str, lowers: bool) -> None:  # noqa: FBT001 - drawn
    """With scikit-learn's rules the tokens are its own, lower-cased or not, less stop words."""
    if lowers:
        text = text.lower()
    expected = [t for t in re.findall(r"(?u)\b\w\w+\b", text) if t not in STOP_WORDS]
    assert native(utf8(text), SKLEARN, lowers=lowers)[0] == hashed(expected)


@given(st.binary(max_size=40))
def test_bad_bytes_are_what_python_replaces_them_by(encoded: bytes) -> None:
    """Bytes that are no UTF-8 count as Python's `replace` has it, and none is read beyond."""
    text = encoded.decode("utf-8", "replace")
    if set(CONTEXTUAL).isdisjoint(text) and b"\xed" not in encoded:
        assert native(encoded)[0] == hashed(tokens(text))
    data, at, codes = padded([encoded]), 0, []
    while at < len(encoded):
        code, size = decode(data, at, len(encoded))
        codes.append(code)
        at += size
    assert at == len(encoded)
    if b"\xed" not in encoded:
        assert "".join(map(chr, codes)).replace("\ufffd", "") == text.replace("\ufffd", "")


@given(TEXTS)
def test_spans_hold_the_tokens(text: str) -> None:
    """A token's span, read by the rules alone, is that token."""
    text = text.lower()
    for code, found in zip(*native(utf8(text)), strict=True):
        alone = found.decode("utf-8", "surrogatepass")
        assert code in hashed([*tokens(alone), *(f"~{token}" for token in tokens(alone))])


def test_lower_case_hangs_on_context_for_two_letters_only() -> None:
    """Every other code point has one lower-case form of its own, and lowering twice is lowering."""
    letters = [chr(code) for code in range(sys.maxunicode + 1) if chr(code) not in CONTEXTUAL]
    lowered = list(map(str.lower, letters))
    assert set(map(len, lowered)) == {1}
    assert [f"a{letter}".lower() for letter in letters] == [f"a{letter}" for letter in lowered]
    assert list(map(str.lower, lowered)) == lowered


def test_the_table_of_characters_is_small() -> None:
    """Like pages are kept once: a quarter of a megabyte, which stays in the processor's cache."""
    pages, entries = characters()
    assert len(pages) == 4352
    assert entries.nbytes < 256 * 1024
