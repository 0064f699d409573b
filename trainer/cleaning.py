"""Cleaning of labelled texts, and which of them are the same.

A worker is given texts as people wrote them, so a training text has to stay one of those: lower
case, punctuation, emoji, HTML tags and the form of letters are the model's own business. Taken out
is only what a copy, a scraper or an old code page did to a text, and what no token is made of.
"""

import html
import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# `&quot;` and `&#39;` are what a scraper forgot to undo. Without this the model would learn words
# like "quot" and "39" that tell where a text came from. A worker's text may have them too: there
# they are unknown words without weight, as any other stray word. Only with the semicolon, and
# once: "R&B" and "AT&T" are names.
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

# Control characters (NUL; U+0080 to U+009F, left by a wrong code page; U+FEFF, the byte-order mark)
# and white space of every kind. Our tokeniser starts a new word at each of them just as at a space,
# so a text with and without them gives the same tokens, and none of this differs in service.
_BLANK = r"\s\x00-\x1f\x7f-\x9f\ufeff"
# All blanks but a lone space, which most are: substituting those would take five times as long.
_UNEVEN = re.compile(rf"[{_BLANK}]{{2,}}|(?! )[{_BLANK}]")

_NO_WORD = re.compile(r"\W+")

# Of copies of a text the one is kept that its source put on a side, the test side before all.
_PRECEDENCE = {"test": 0, "train": 1, "auto": 2}


def clean(text: str) -> str:
    """A text without the damage of its way to us; empty when nothing else was there."""
    if "&" in text:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return _UNEVEN.sub(" ", text).strip(" ")


def essence(text: str) -> str:
    """What two copies of a text share: its word characters, case-folded.

    A text without any, such as ":)" or an emoji, is only ever a copy of itself.
    """
    folded = text.casefold()
    return _NO_WORD.sub("", folded) or folded


def copies(
    essences: list[str], labels: NDArray[np.int8], splits: pd.Series
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Find texts that occur more than once.

    Args:
        essences: `essence` of each text.
        labels: 1 positive, 0 negative; shape (texts,).
        splits: `train`, `test` or `auto` of each.

    Returns:
        Which texts have a copy with another label, so that nobody knows what they are; and which of
        the others are superfluous copies. A copy from a `test` source stays before one from a
        `train` source, so that no text of the test side is learnt; else the first. Both of shape
        (texts,).
    """
    texts, _ = pd.factorize(np.array(essences, object))
    seen = np.zeros((texts.max(initial=-1) + 1, 2), bool)
    seen[texts, labels] = True
    conflicting = (seen[:, 0] & seen[:, 1])[texts]

    order = np.argsort(splits.map(_PRECEDENCE).to_numpy(), kind="stable")
    _, first = np.unique(texts[order], return_index=True)
    superfluous = np.ones(len(texts), bool)
    superfluous[order[first]] = False
    return conflicting, superfluous & ~conflicting
