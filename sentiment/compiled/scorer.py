"""Answers with a compiled model: texts in, probabilities or explanations out."""

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentiment import metrics
from sentiment.compiled import loop
from sentiment.compiled.table import Table
from sentiment.compiled.words import IN_CONTEXT

# Scratch is kept for texts of up to this many bytes, the worker's own limit for an event; a longer
# one gets scratch of its own, which goes when it is done.
ROOM_BYTES = 65536


# The loop reads 64 bytes at a time.
_PADDING = b"\n" * 64


class Room(NamedTuple):
    """Scratch of one call; what each is for, see `loop`."""

    cuts: NDArray[np.int32]
    keys: NDArray[np.uint64]
    entries: NDArray[np.uint64]
    found: NDArray[np.int32]
    counts: NDArray[np.int32]
    seen: NDArray[np.int32]
    marks: NDArray[np.uint64]
    spans: NDArray[np.int32]
    where: NDArray[np.int32]


class Contribution(NamedTuple):
    """What one n-gram adds to the log-odds of a text, however often it stands there.

    Attributes:
        log_odds: Above 0 speaks for positive.
        spans: Where it stands: begin and end as indices of the text's characters.
    """

    log_odds: float
    spans: list[tuple[int, int]]


class Explanation(NamedTuple):
    """Why a text has its score: the log-odds are `intercept` and all contributions added up."""

    log_odds: float
    intercept: float
    contributions: list[Contribution]


class CompiledScorer:
    """Answers with a compiled model. Any number of threads may share it.

    Args:
        table: The model.
    """

    kind: Literal["sklearn", "compiled"] = "compiled"

    def __init__(self, table: Table) -> None:
        self.table = table
        self._longest = int(table.options[loop.LONGEST])
        # One per thread that scores at the same time. Taking and giving back are atomic.
        self._rooms: list[Room] = []

    @property
    def rooms(self) -> int:
        """How many scratches are kept: as many as threads have scored at the same time."""
        return len(self._rooms)

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """P(positive) of each text; shape (texts,)."""
        return self.score_utf8(_encoded(texts))

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
        encoded = _encoded(texts)
        out = np.empty((len(texts), 2), np.int64)
        if self._run(loop.coverage, encoded, out):
            numbers = np.flatnonzero(out[:, 0] == IN_CONTEXT).tolist()
            out[numbers] = self.coverage([_lowered(encoded[number]) for number in numbers])
        return out

    def _run(
        self, native: Callable[..., int], texts: Sequence[bytes], out: NDArray[np.generic]
    ) -> int:
        """Let one of the loops go over texts; how many of them Python has to lower-case first."""
        if not texts:
            return 0
        sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        longest = int(sizes.max())
        room = self._take() if longest <= ROOM_BYTES else self._new_room(longest)
        left = native(padded(texts), sizes, self.table, room, out)
        if longest <= ROOM_BYTES:
            self._rooms.append(room)
        return left

    def explain(self, text: str) -> Explanation:
        """Say which n-grams moved the score of a text, and by how much."""
        (encoded,) = _encoded([text])
        room = self._new_room(max(len(encoded), 1), explains=True)
        parts = np.empty(len(room.found))
        data = padded([encoded])
        count, hits, log_odds, intercept = loop.explain(data, len(encoded), self.table, room, parts)
        if count == IN_CONTEXT:
            return _moved(self.explain(text.lower()), text)
        begins, ends = room.spans[:, 0], room.spans[:, 1]
        first, last = _tokens_of(room.where[0, :hits], count, self._longest)
        spans = np.column_stack([begins[first], ends[last]])
        if not text.isascii():
            characters = np.cumsum(data & 0xC0 != 0x80)
            spans = np.column_stack([characters[spans[:, 0]] - 1, characters[spans[:, 1] - 1]])
        found: dict[int, Contribution] = {}
        for row, part, (begin, end) in zip(
            room.found[:hits].tolist(), parts[:hits].tolist(), spans.tolist(), strict=True
        ):
            found.setdefault(row, Contribution(part, [])).spans.append((begin, end))
        return Explanation(log_odds, intercept, list(found.values()))

    def _new_room(self, size: int, *, explains: bool = False) -> Room:
        return new_room(size, self._longest, len(self.table.columns), explains=explains)

    def _take(self) -> Room:
        try:
            return self._rooms.pop()
        except IndexError:
            return self._new_room(ROOM_BYTES)


def _encoded(texts: Sequence[str]) -> list[bytes]:
    try:
        return list(map(str.encode, texts))
    except UnicodeEncodeError:
        # Halves of surrogate pairs are no characters, but Python's strings may hold them.
        return [text.encode("utf-8", "surrogatepass") for text in texts]


def _lowered(text: bytes) -> str:
    """In lower case, which needs no more context; what is no UTF-8 is part of no token."""
    return text.decode("utf-8", "replace").lower()


def padded(texts: Sequence[bytes]) -> NDArray[np.uint8]:
    """Texts with a line feed after each, and with what the loop may read beyond the last one."""
    return np.frombuffer(b"\n".join((*texts, _PADDING)), np.uint8)


def new_room(size: int, longest: int, places: int, *, explains: bool = False) -> Room:
    """Scratch for a text of that many bytes, which has at most as many tokens.

    What is never touched costs no memory, and most of it never is.
    """
    grams = size * longest
    rows = (size, grams) if explains else (0, 0)
    return Room(
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


def _tokens_of(
    numbers: NDArray[np.int32], tokens: int, longest: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the last token of n-grams by their numbers: see `lookup.look_up`."""
    of_length = [max(tokens - length, 0) for length in range(longest)]
    begins = np.cumsum([0, *of_length])
    shorter = np.searchsorted(begins, numbers, side="right") - 1
    first = numbers - begins[shorter]
    return first, first + shorter


def _moved(explanation: Explanation, text: str) -> Explanation:
    """An explanation of the lower-cased text, with the spans in the text as it was."""
    origin = [i for i, character in enumerate(text) for _ in repeat(0, len(character.lower()))]
    return explanation._replace(
        contributions=[
            part._replace(spans=[(origin[begin], origin[end - 1] + 1) for begin, end in part.spans])
            for part in explanation.contributions
        ]
    )
