"""Which texts train and which test: by group, never leaking from one side to the other.

Not one of scikit-learn's splitters, for two reasons. `GroupShuffleSplit` deals all groups anew when
one is added, so the next model would be tested on films that the present champion has learnt, and
it doesn't look at labels. `StratifiedGroupKFold` does, but knows no other shares than 1/k and takes
minutes for a quarter of a million groups.

Here a group's place in a fixed order, its hash with the seed, decides: new data hardly moves the
old.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sentiment.errors import InputError, SentimentError

# Enough names in a message to find the mistake by.
_SHOWN = 3


def held_out(frame: pd.DataFrame, test_share: float, seed: int) -> NDArray[np.bool_]:
    """Decide which rows test.

    Rows whose `split` is `train` or `test` stay there, and take all rows of their groups along. Of
    the other groups a share is held out, from each source, and evenly from groups of much the same
    numbers of positive and negative texts: the stratification that whole groups allow.

    Args:
        frame: Texts with the columns of `trainer.tables`.
        test_share: Share of the groups that are free to go either way.
        seed: Another one, another choice.

    Returns:
        True where a row is on the test side; shape (texts,).

    Raises:
        InputError: A group was put on both sides.
    """
    groups, split = frame["group"], frame["split"]
    testing, training = (set(groups[split == side]) for side in ("test", "train"))
    if both := sorted(testing & training):
        raise InputError(
            f"{len(both):,} groups are in a source with split 'train' and in one with split"
            f" 'test', such as {', '.join(map(repr, both[:_SHOWN]))}.",
            "Give the sources the same split, or another `group` column.",
        )
    free = frame[~groups.isin(testing | training)]
    testing.update(_choose(free, test_share, seed))
    return groups.isin(testing).to_numpy(bool)


def check(testing: NDArray[np.bool_], **alike: Sequence[str]) -> None:
    """Make sure that nothing of one side is on the other, whatever the code above came to.

    Args:
        testing: True where a row is on the test side; shape (texts,).
        alike: Names of things that no two rows on different sides may share; each of shape
            (texts,).

    Raises:
        SentimentError: They do.
    """
    for what, names in alike.items():
        listed = np.asarray(names, object)
        if both := sorted(set(listed[testing]) & set(listed[~testing])):
            raise SentimentError(
                f"The split leaks: {len(both):,} of the {what} are on both sides, such as"
                f" {', '.join(map(repr, both[:_SHOWN]))}. Nothing was written.",
                "This is a mistake in trainer/splitting.py; please report it.",
            )


def _choose(frame: pd.DataFrame, share: float, seed: int) -> list[str]:
    groups = frame.groupby("group", sort=True).agg(
        source=("source", "first"), texts=("label", "size"), positive=("label", "sum")
    )
    names = groups.index.to_numpy()
    hashes = [
        int.from_bytes(hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest())
        for name in names
    ]
    # Alike within a power of two: finer strata of films would hold one film each.
    stratum = [
        groups["source"].to_numpy(),
        _bits(groups["texts"] - groups["positive"]),
        _bits(groups["positive"]),
    ]
    order = np.lexsort((np.array(hashes, np.uint64), *reversed(stratum)))
    table = pd.DataFrame({number: column[order] for number, column in enumerate(stratum)})
    sizes = table.groupby([0, 1, 2], sort=True).size().to_numpy()
    # Rounded as a running sum: the whole is right by half a group, however small the strata.
    ends = np.floor(np.cumsum(sizes) * share + 0.5)
    wanted = np.repeat(np.diff(ends, prepend=0), sizes)
    place = np.arange(len(names)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    held: list[str] = names[order][place < wanted].tolist()
    return held


def _bits(counts: pd.Series) -> NDArray[np.int64]:
    """The length of each number in binary; shape (numbers,)."""
    lengths: NDArray[np.int64] = np.frexp(counts.to_numpy(np.float64))[1].astype(np.int64)
    return lengths
