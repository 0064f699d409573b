"""Answers with a compiled model: texts in, probabilities or explanations out."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Raw
from msgspec.structs import replace
from numpy.typing import NDArray

from sentiment import metrics, wire
from sentiment.model.compiled import explain as native, loop
from sentiment.model.compiled.table import Table
from sentiment.model.compiled.words import IN_CONTEXT
from sentiment.model.scorer import MOST_PARTS, Explained, Scorer, origins
from sentiment.wire import Part

# What a native loop needs beside the model: texts as bytes, and scratch buffers.


# Scratch is kept for texts of up to this many bytes, the worker's own limit for an event; a longer
# one gets scratch of its own, which goes when it is done.
SCRATCH_BYTES = 65536

# The loop reads 64 bytes at a time.
_PADDING = b"\n" * 64


class Scratch(NamedTuple):
    """The scratch buffers of one call; what each is for, see `loop`."""

    cuts: NDArray[np.int32]
    keys: NDArray[np.uint64]
    entries: NDArray[np.uint64]
    found: NDArray[np.int32]
    counts: NDArray[np.int32]
    seen: NDArray[np.int32]
    marks: NDArray[np.uint64]
    spans: NDArray[np.int32]
    where: NDArray[np.int32]


class Page(NamedTuple):
    """Further scratch of a call that explains, and what it writes; see `explain`."""

    slots: NDArray[np.int32]
    order: NDArray[np.int32]
    amounts: NDArray[np.float64]
    json: NDArray[np.uint8]


def new_scratch(size: int, longest: int, places: int, *, explains: bool = False) -> Scratch:
    """Scratch for a text of that many bytes, which has at most as many tokens.

    What is never touched costs no memory, and most of it never is.
    """
    grams = size * longest
    rows = (size, grams) if explains else (0, 0)
    return Scratch(
        np.empty(size + 2, np.int32),
        np.empty(grams, np.uint64),
        np.empty(grams, np.uint64),
        # One more: what may be found is written before it is known to be.
        np.empty(grams + 1, np.int32),
        np.empty(grams + 1, np.int32),
        np.empty(max(64, 1 << (4 * grams).bit_length()), np.int32),
        np.zeros(places // 64 + 1, np.uint64),
        np.empty((rows[0], 2), np.int32),
        np.empty((2, rows[1] + explains), np.int32),
    )


def new_page(size: int, longest: int, json_bytes: int) -> Page:
    """The same for what a call that explains needs beside it."""
    grams = size * longest
    return Page(
        np.empty(grams, np.int32),
        np.empty((3, grams + 1), np.int32),
        np.empty(grams, np.float64),
        np.empty(json_bytes, np.uint8),
    )


def encoded(texts: Sequence[str]) -> list[bytes]:
    """Texts in UTF-8."""
    try:
        return list(map(str.encode, texts))
    except UnicodeEncodeError:
        # Halves of surrogate pairs are no characters, but Python's strings may hold them.
        return [text.encode("utf-8", "surrogatepass") for text in texts]


def padded(texts: Sequence[bytes]) -> NDArray[np.uint8]:
    """Texts with a line feed after each, and with what the loop may read beyond the last one."""
    return np.frombuffer(b"\n".join((*texts, _PADDING)), np.uint8)


class CompiledScorer(Scorer):
    """Answers with a compiled model. Any number of threads may share it.

    Args:
        table: The model.
    """

    kind = "compiled"

    def __init__(self, table: Table) -> None:
        self.table = table
        self._longest = int(table.options[loop.LONGEST])
        # One per thread that scores at the same time. Taking and giving back are atomic.
        self._scratch: list[Scratch] = []
        self._explainer = Explainer(table)

    @property
    def scratches(self) -> int:
        """How many scratches are kept: as many as threads have scored at the same time."""
        return len(self._scratch)

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """P(positive) of each text; shape (texts,)."""
        return self.score_utf8(encoded(texts))

    def score_utf8(self, texts: Sequence[bytes]) -> NDArray[np.float64]:
        """The same for texts in UTF-8; what is none counts as U+FFFD."""
        out = np.empty(len(texts))
        left = self._run(loop.score, texts, out)
        if left:
            metrics.SLOW_TEXTS.inc(left)
            numbers = np.flatnonzero(np.isnan(out)).tolist()
            out[numbers] = self.score([_lowered(texts[number]) for number in numbers])
        return out

    def coverage(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """How many tokens each text has, and how many of them the model knows; shape (texts, 2)."""
        utf8 = encoded(texts)
        out = np.empty((len(texts), 2), np.int64)
        if self._run(loop.coverage, utf8, out):
            numbers = np.flatnonzero(out[:, 0] == IN_CONTEXT).tolist()
            out[numbers] = self.coverage([_lowered(utf8[number]) for number in numbers])
        return out

    def _run(
        self, native: Callable[..., int], texts: Sequence[bytes], out: NDArray[np.generic]
    ) -> int:
        """Let one of the loops go over texts; how many of them Python has to lower-case first."""
        if not texts:
            return 0
        sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        longest = int(sizes.max())
        scratch = self._take() if longest <= SCRATCH_BYTES else self._new_scratch(longest)
        left = native(padded(texts), sizes, self.table, scratch, out)
        if longest <= SCRATCH_BYTES:
            self._scratch.append(scratch)
        return left

    def explain(self, texts: Sequence[str]) -> Explained:
        """See `explainer.Explainer`."""
        return self._explainer.explain(texts)

    def _new_scratch(self, size: int) -> Scratch:
        return new_scratch(size, self._longest, len(self.table.columns))

    def _take(self) -> Scratch:
        try:
            return self._scratch.pop()
        except IndexError:
            return self._new_scratch(SCRATCH_BYTES)


def _lowered(text: bytes) -> str:
    """In lower case, which needs no more context; what is no UTF-8 is part of no token."""
    return text.decode("utf-8", "replace").lower()


# Says why texts have their scores: texts in, scores and explanations in JSON out.


# Parts of all texts of a call, at some 24 bytes each: no more than the batch's own input may take,
# see `WORKER_PREFETCH_KIB`. It takes a batch of thousands of reviews that all ask to get there.
MOST_IN_CALL = 700_000
# The page is emptied when it can't hold another text; this many bytes stay in a processor's cache.
JSON_BYTES = 1 << 17


class Explainer:
    """Explains with a compiled model. Any number of threads may share it.

    Args:
        table: The model.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        # One per thread that explains at the same time. Taking and giving back are atomic.
        self._scratch: list[tuple[Scratch, Page]] = []

    def explain(self, texts: Sequence[str]) -> Explained:
        """Scores and explanations of texts; of a large batch, explanations have fewer parts each.

        Args:
            texts: Any texts.

        Returns:
            The scores of `CompiledScorer.score` to the last bit, and an explanation for each text
            whose numbers are below `writing.TOO_LARGE`.
        """
        most = max(1, min(MOST_PARTS, MOST_IN_CALL // max(1, len(texts))))
        return self._explain(texts, most)

    def _explain(self, texts: Sequence[str], most: int) -> Explained:
        scores, ends = np.empty(len(texts)), np.empty(len(texts), np.int64)
        explanations: list[Raw | None] = []
        utf8 = encoded(texts)
        sizes = np.fromiter(map(len, utf8), np.int64, len(utf8))
        longest = int(sizes.max(initial=0))
        scratch, page = both = self._take() if longest <= SCRATCH_BYTES else self._new(longest)
        data, begin = padded(utf8), 0
        while (first := len(explanations)) < len(texts):
            done, begin = native.explain(
                data, sizes, first, begin, self._table, scratch, page, most, scores, ends
            )
            explanations += _cut(page.json, ends[first:done].tolist())
        if longest <= SCRATCH_BYTES:
            self._scratch.append(both)
        for number in np.flatnonzero(ends == native.NOT_DONE).tolist():
            metrics.SLOW_TEXTS.inc()
            lowered = self._explain([texts[number].lower()], most)
            scores[number] = lowered.scores[0]
            explanations[number] = _moved(lowered.explanations[0], texts[number])
        return Explained(scores, explanations)

    def _take(self) -> tuple[Scratch, Page]:
        try:
            return self._scratch.pop()
        except IndexError:
            return self._new(SCRATCH_BYTES)

    def _new(self, size: int) -> tuple[Scratch, Page]:
        longest, places = int(self._table.options[loop.LONGEST]), len(self._table.columns)
        scratch = new_scratch(size, longest, places, explains=True)
        return scratch, new_page(size, longest, JSON_BYTES)


def _cut(json: NDArray[np.uint8], ends: list[int]) -> list[Raw | None]:
    """The explanations that stand on a page one after the other; None where there is none."""
    # One copy for all of them.
    memory, begin = memoryview(json[: max(ends)].tobytes()), 0
    explanations: list[Raw | None] = []
    for end in ends:
        explanations.append(Raw(memory[begin:end]) if end > begin else None)
        begin = max(begin, end)
    return explanations


def _moved(explanation: Raw | None, text: str) -> Raw | None:
    """An explanation of the lower-cased text, with the spans in the text as it was."""
    if explanation is None:
        return None
    origin = origins(text)
    found = wire.decode_explanation(explanation)
    parts = [
        Part(part.contribution, origin[part.begin], origin[part.end - 1] + 1)
        for part in found.parts
    ]
    return Raw(wire.encode(replace(found, parts=parts)))
