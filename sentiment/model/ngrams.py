"""The vectoriser of our models: which word n-grams a text has.

Fitted state is NumPy arrays only: the skops format writes a node per entry of a dictionary, which
for a vocabulary of half a million n-grams is hundreds of megabytes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise, repeat
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sentiment.model.text import tokens

Integers = NDArray[np.int64]

# The number of a word or n-gram that the vocabulary doesn't have.
UNKNOWN = -1


class NgramVectorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc] # sklearn has no types
    """Marks which word n-grams a text has: 1 where it has one, however often.

    An n-gram is known by the (n-1)-gram that it begins with and by its last word. So a batch of
    texts is looked up with a few array operations, and no string is made of a whole n-gram.

    Args:
        min_df: In how many training texts an n-gram must be; one number per n. Never falling, so
            that the beginning of an n-gram that is kept is kept too.

    Attributes:
        words_: The known words in UTF-8, those in most texts first, one after the other; uint8.
        word_ends_: Where each word ends in `words_`; shape (words,), int64.
        prefixes_: For n = 2, 3, …: the number of the (n-1)-gram that each n-gram begins with; those
            in most texts first, int32.
        lasts_: For n = 2, 3, …: the number of each n-gram's last word; int32.
    """

    # The name in saved models: see `sentiment.model`.
    __module__ = "sentiment.ngrams"

    def __init__(self, min_df: Sequence[int] = (2, 3, 3)) -> None:
        self.min_df = min_df

    def fit(
        self, texts: Sequence[str], y: object = None, counted: NDArray[np.bool_] | None = None
    ) -> Self:
        """Learn the n-grams of a training set.

        Args:
            texts: The texts.
            y: Not looked at.
            counted: Which texts count for `min_df`, as parts of others may not; None: all.

        Raises:
            ValueError: `min_df` is empty or falls, no word is in enough texts, or `texts` is one
                text or a table.
        """
        del y
        least = list(self.min_df)
        if not least or least != sorted(least):
            raise ValueError(f"min_df must hold one number per n and never fall, not {least}")
        # Numbered as they come, then again without the rare ones. The usual words come first: what
        # is looked up most often lies close together in memory.
        seen: dict[str, int] = {}
        ids, rows = _number(
            _as_list(texts), lambda found: [seen.setdefault(word, len(seen)) for word in found]
        )
        counts = np.ones(len(ids), bool) if counted is None else np.asarray(counted)[rows]
        frequency = _document_frequency(ids[counts], rows[counts], len(seen)).tolist()
        words = sorted(
            (word for word, number in seen.items() if frequency[number] >= least[0]),
            key=lambda word: (-frequency[seen[word]], word),
        )
        if not words:
            raise ValueError(f"No word is in {least[0]} texts or more")
        renumbered = np.full(len(seen), UNKNOWN, np.int64)
        renumbered[[seen[word] for word in words]] = np.arange(len(words))
        ids = renumbered[ids]

        encoded = [word.encode() for word in words]
        self.words_ = np.frombuffer(b"".join(encoded), np.uint8)
        self.word_ends_ = np.cumsum([len(word) for word in encoded], dtype=np.int64)
        self.prefixes_: list[NDArray[np.int32]] = []
        self.lasts_: list[NDArray[np.int32]] = []
        grams, starts = ids, np.arange(len(ids))
        for n in range(2, len(least) + 1):
            keys, starts = _extend(grams, starts, ids, rows, n, len(words))
            known, numbers = np.unique(keys, return_inverse=True)
            here = counts[starts]
            frequent = _document_frequency(numbers[here], rows[starts[here]], len(known))
            known, frequent = known[frequent >= least[n - 1]], frequent[frequent >= least[n - 1]]
            # Numbered like the words; in order of their keys where as many texts have them.
            known = known[np.argsort(-frequent, kind="stable")]
            prefixes, lasts = np.divmod(known, len(words))
            self.prefixes_.append(prefixes.astype(np.int32))
            self.lasts_.append(lasts.astype(np.int32))
            grams = _find(*_sorted(known), keys)
        self.__dict__.pop("_numbers", None)
        self.__dict__.pop("_keys", None)
        return self

    def transform(self, texts: Sequence[str]) -> csr_matrix:
        """Mark the known n-grams of each text.

        Returns:
            Shape (texts, n-grams), float64; columns are the words, the 2-grams, the 3-grams, …
        """
        check_is_fitted(self)
        texts = _as_list(texts)
        number = self._numbers.get
        ids, rows = _number(texts, lambda found: map(number, found, repeat(UNKNOWN)))
        width = sum(self.sizes)
        found = [rows[starts] * width + columns for starts, columns in self._known_grams(ids, rows)]
        # Sorted and each once: the cells of a CSR matrix in their order.
        of_row, column = np.divmod(_distinct(np.concatenate(found)), width)
        ends = np.searchsorted(of_row, np.arange(len(texts) + 1))
        return csr_matrix(
            (np.ones(len(column)), column.astype(np.int32), ends.astype(np.int32)),
            shape=(len(texts), width),
        )

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """The n-grams in the order of the columns, their words with spaces between."""
        del input_features
        check_is_fitted(self)
        names = [self.words()]
        for prefixes, lasts in zip(self.prefixes_, self.lasts_, strict=True):
            previous, words = names[-1], names[0]
            names.append(
                [f"{previous[p]} {words[w]}" for p, w in zip(prefixes, lasts, strict=True)]
            )
        return np.array([name for of_one_n in names for name in of_one_n], object)

    def words(self) -> list[str]:
        """The known words in the order of their numbers."""
        return list(self._numbers)

    @property
    def sizes(self) -> list[int]:
        """How many n-grams are known, for n = 1, 2, and so on."""
        return [len(self.word_ends_), *map(len, self.lasts_)]

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name not in {"_numbers", "_keys"}}

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 - sklearn has no types
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Word to number, rebuilt from the arrays when first used after loading."""
        blob = self.words_.tobytes()
        ends = [0, *self.word_ends_.tolist()]
        return {blob[a:b].decode(): number for number, (a, b) in enumerate(pairwise(ends))}

    @cached_property
    def _keys(self) -> list[tuple[Integers, Integers]]:
        """For n = 2, 3, …: prefix and last word as one number, see `_sorted`."""
        return [
            _sorted(prefixes.astype(np.int64) * len(self.word_ends_) + lasts)
            for prefixes, lasts in zip(self.prefixes_, self.lasts_, strict=True)
        ]

    def _known_grams(self, ids: Integers, rows: Integers) -> Iterator[tuple[Integers, Integers]]:
        """For n = 1, 2, …: where the known n-grams start, and their columns."""
        sizes = self.sizes
        grams, starts = ids, np.arange(len(ids))
        yield starts[grams != UNKNOWN], grams[grams != UNKNOWN]
        for n, keys in enumerate(self._keys, start=2):
            wanted, starts = _extend(grams, starts, ids, rows, n, sizes[0])
            grams = _find(*keys, wanted)
            starts, grams = starts[grams != UNKNOWN], grams[grams != UNKNOWN]
            yield starts, grams + sum(sizes[: n - 1])


def _as_list(texts: Sequence[str]) -> Sequence[str]:
    """The texts, also out of a column: MLflow's `python_function` hands over a table of one."""
    if isinstance(texts, list):
        return texts
    column = np.asarray(texts, object)
    if column.ndim == 0 or column.size != len(column):
        raise ValueError("Texts are expected: a list or one column, not one text or a table")
    listed: list[str] = column.ravel().tolist()
    return listed


def _number(
    texts: Sequence[str], numbers: Callable[[list[str]], Iterable[int]]
) -> tuple[Integers, Integers]:
    """The number of each token of all texts, one text after the other, and each token's text."""
    ids: list[int] = []
    lengths: list[int] = []
    for text in texts:
        found = tokens(text)
        ids += numbers(found)
        lengths.append(len(found))
    return np.array(ids, np.int64), np.repeat(np.arange(len(lengths)), lengths)


def _extend(  # noqa: PLR0913, PLR0917 - one step of a loop, shared by fitting and looking up
    grams: Integers, starts: Integers, ids: Integers, rows: Integers, n: int, words: int
) -> tuple[Integers, Integers]:
    """Lengthen known (n-1)-grams by the word that follows in the same text, where it is known.

    Args:
        grams: Numbers of (n-1)-grams, `UNKNOWN` among them; shape (k,).
        starts: Where in `ids` they start; shape (k,).
        ids: Word numbers of all texts; shape (tokens,).
        rows: The text of each; shape (tokens,).
        n: Words of the n-grams to make.
        words: Number of words in the vocabulary.

    Returns:
        Keys of the n-grams, and where in `ids` they start.
    """
    keep = (grams != UNKNOWN) & (starts + n <= len(ids))
    grams, starts = grams[keep], starts[keep]
    lasts = starts + (n - 1)
    keep = (ids[lasts] != UNKNOWN) & (rows[lasts] == rows[starts])
    return grams[keep] * words + ids[lasts[keep]], starts[keep]


def _sorted(keys: Integers) -> tuple[Integers, Integers]:
    """The keys of n-grams in their order, and the number of each."""
    numbers = np.argsort(keys)
    return keys[numbers], numbers


def _find(known: Integers, numbers: Integers, wanted: Integers) -> Integers:
    """The numbers of the wanted keys among the known ones, which are sorted; or `UNKNOWN`."""
    if not len(known):
        return np.full(len(wanted), UNKNOWN, np.int64)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[at] == wanted, numbers[at], UNKNOWN)


def _document_frequency(ids: Integers, rows: Integers, size: int) -> Integers:
    """In how many texts each number stands; shape (size,)."""
    texts = int(rows.max(initial=0)) + 1
    return np.bincount(_distinct(ids * texts + rows) // texts, minlength=size)


def _distinct(numbers: Integers) -> Integers:
    """The different numbers, sorted.

    `np.unique` hashes, which takes ten times as long for as many different numbers as we have.
    """
    ordered = np.sort(numbers)
    first = np.ones(len(ordered), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]
