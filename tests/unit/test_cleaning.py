"""Claims about cleaning, and about which texts are copies of each other."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from sentiment.model.text import APOSTROPHES, tokens
from trainer.preprocess import clean, copies, essence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fine.", "Fine."),
        ("\ufeffA\tgood\r\n\n film \0 here\u00a0\x96 yes ", "A good film here yes"),
        ("&quot;It&#39;s&#x20;fine&quot; &amp; Co", '"It\'s fine" & Co'),
        ("AT&T, R&B; &nosuch; &copy", "AT&T, R&B; &nosuch; &copy"),
        ("<br />SOOO good!!! 👍🏽 :)", "<br />SOOO good!!! 👍🏽 :)"),
        ("caf\u00e9 cafe\u0301 \uff41", "caf\u00e9 cafe\u0301 \uff41"),
        ("\0 \n\ufeff", ""),
    ],
)
def test_cleaning_takes_out_damage_and_nothing_else(text: str, expected: str) -> None:
    """Each rule on an example; case, tags, emoji and Unicode forms stay as a worker gets them."""
    assert clean(text) == expected


# Entities and half-written tags change meaning on purpose; an apostrophe after a doubled space is
# joined to its word once the space is single.
plain = st.characters(exclude_characters="&<" + APOSTROPHES)


@given(st.text(plain | st.sampled_from(" \t\n\0\ufeff\x85\u2003")))
def test_cleaning_changes_no_token(text: str) -> None:
    """A worker, which doesn't clean, sees the same tokens as training did."""
    assert tokens(clean(text)) == tokens(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Good, film!", "good film", True),
        ("STRASSE", "straße", True),
        ("good film", "good films", False),
        (":)", ":(", False),
        ("👍", "👎", False),
    ],
)
def test_copies_share_their_word_characters(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    """Copies differ in case, spaces and punctuation; what has no word is only a copy of itself."""
    assert (essence(one) == essence(other)) == same


def test_one_of_several_copies_stays() -> None:
    """The test side's before the train side's before one that is free; of two alike, the first.

    Where labels differ there is none that could stay.
    """
    rows = "auto a 0, train a 0, test a 0, test a 0, auto b 1, train b 1, auto c 0, auto c 0"
    splits, texts, labels = zip(
        *map(str.split, f"{rows}, test d 0, auto d 1".split(",")), strict=True
    )
    conflicting, superfluous = copies(list(texts), np.array(labels, np.int8), pd.Series(splits))
    assert np.flatnonzero(conflicting).tolist() == [8, 9]
    assert np.flatnonzero(superfluous).tolist() == [0, 1, 3, 4, 7]
