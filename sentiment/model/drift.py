"""The drift reference: what texts and scores looked like when a model was made.

It is written into a model's directory when the model is released. Workers compare what they see
with it, so all that both have to do in the same way stands here.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from sentiment import limited, logs
from sentiment.model.scorer import Scorer
from sentiment.model.text import tokens

log = logs.get(__name__)

# In a model's directory.
FILE = "drift.json"
# Ours has 591 bytes.
MOST_BYTES = 65_536

# Fewer texts are too few: with ten bins, chance alone moves the population stability index by
# 9 / 300 = 0.03, give or take 0.014, where a quarter is usually called a change.
LEAST_TEXTS = 300

# Shares are rounded, and there are ten or so of them.
_ROUNDING = 1e-3


class Reference(Struct, frozen=True):
    """Shares of texts and of tokens. A value on an edge is in the bin above it.

    Attributes:
        texts: How many texts it was made from.
        score_edges: Inner edges of the bins of scores.
        score_shares: Share of texts in each bin, one more than edges.
        length_edges: Inner edges of the bins of lengths, in tokens.
        length_shares: Share of texts in each bin.
        positive_share: Share of texts called positive.
        known_token_share: Share of tokens that the model knows; None if it gives no number.

    Raises:
        ValueError: Its parts do not fit together.
    """

    texts: int
    score_edges: list[float]
    score_shares: list[float]
    length_edges: list[int]
    length_shares: list[float]
    positive_share: float
    known_token_share: float | None

    def __post_init__(self) -> None:
        for edges, shares in (
            (self.score_edges, self.score_shares),
            (self.length_edges, self.length_shares),
        ):
            if any(lower >= upper for lower, upper in pairwise(edges)):
                raise ValueError("edges of bins do not rise")
            if len(shares) != len(edges) + 1:
                raise ValueError(f"{len(edges)} edges do not bound {len(shares)} shares")
            if min(shares) < 0 or abs(sum(shares) - 1) > _ROUNDING:
                raise ValueError("shares do not add up to 1")


class Sizes(NamedTuple):
    """What texts are made of.

    Attributes:
        tokens: How many each text has; shape (texts,).
        known: How many of all of them the model knows; None if it gives no number.
    """

    tokens: NDArray[np.int64]
    known: int | None


def sizes(scorer: Scorer, texts: Sequence[str]) -> Sizes:
    """Count the tokens of texts by a model's own rules, and those that it knows.

    If it gives no number, they are counted by our rules.
    """
    counts = scorer.coverage(texts)
    if counts is None:
        return Sizes(np.array([len(tokens(text)) for text in texts], np.int64), None)
    return Sizes(counts[:, 0], int(counts[:, 1].sum()))


def bins(
    values: NDArray[np.float64] | NDArray[np.int64], edges: Sequence[float]
) -> NDArray[np.int64]:
    """How many values are in each bin; shape (edges + 1,). One on an edge is in the bin above."""
    places = np.searchsorted(edges, values, side="right")
    return np.bincount(places, minlength=len(edges) + 1)


def read(directory: Path) -> Reference | None:
    """The reference in a model's directory; None, and a line in the log, if it has no usable one.

    A model serves without it just as well.
    """
    try:
        found = msgspec.json.decode(limited.read(directory / FILE, MOST_BYTES), type=Reference)
    except FileNotFoundError:
        reason = f"it has no {FILE}"
    except (OSError, ValueError, RecursionError) as error:
        reason = limited.one_line(f"its {FILE} is no reference: {error}")
    else:
        if found.texts >= LEAST_TEXTS:
            return found
        reason = f"its reference is of {found.texts} texts, fewer than {LEAST_TEXTS}"
    log.warning("model is not watched for drift", reason=reason)
    return None
