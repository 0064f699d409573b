"""Answers with a compiled model: texts in, probabilities or explanations out."""

from collections.abc import Iterable, Sequence
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


class Room(NamedTuple):
    """Scratch of one call; what each is for, see `loop`."""

    keys: NDArray[np.uint64]
    entries: NDArray[np.uint64]
    found: NDArray[np.int32]
    counts: NDArray[np.int32]
    seen: NDArray[np.uint64]
    epoch: NDArray[np.uint64]
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
        joined = "\n".join(texts)
        if joined.isascii():
            return self._score(joined.encode(), map(len, texts), texts)
        return self.score_utf8([text.encode("utf-8", "surrogatepass") for text in texts])

    def score_utf8(self, texts: Sequence[bytes]) -> NDArray[np.float64]:
        """The same for texts in UTF-8; what is none counts as U+FFFD."""
        return self._score(b"\n".join(texts), map(len, texts), texts)

    def explain(self, text: str) -> Explanation:
        """Say which n-grams moved the score of a text, and by how much."""
        encoded = text.encode("utf-8", "surrogatepass")
        room = new_room(max(len(encoded), 1), self._longest, explains=True)
        parts = np.empty(len(room.found))
        data = padded(encoded)
        hits, log_odds, intercept = loop.explain(data, len(encoded), self.table, room, parts)
        if hits == IN_CONTEXT:
            return _moved(self.explain(text.lower()), text)
        begins, ends = room.spans[:, 0], room.spans[:, 1]
        first, length = room.where[:hits].T
        spans = np.column_stack([begins[first], ends[first + length - 1]])
        if not text.isascii():
            characters = np.cumsum(data & 0xC0 != 0x80)
            spans = np.column_stack([characters[spans[:, 0]] - 1, characters[spans[:, 1] - 1]])
        found: dict[int, Contribution] = {}
        for feature, part, (begin, end) in zip(
            room.found[:hits].tolist(), parts[:hits].tolist(), spans.tolist(), strict=True
        ):
            found.setdefault(feature, Contribution(part, [])).spans.append((begin, end))
        return Explanation(log_odds, intercept, list(found.values()))

    def _score(
        self, data: bytes, lengths: Iterable[int], texts: Sequence[str] | Sequence[bytes]
    ) -> NDArray[np.float64]:
        sizes = np.fromiter(lengths, np.int64, len(texts))
        out = np.empty(len(texts))
        if not len(texts):
            return out
        longest = int(sizes.max())
        room = self._take() if longest <= ROOM_BYTES else new_room(longest, self._longest)
        loop.score(padded(data), sizes, self.table, room, out)
        if longest <= ROOM_BYTES:
            self._rooms.append(room)
        if np.isnan(out[-1]) or np.isnan(out.sum()):
            self._score_in_context(texts, out)
        return out

    def _score_in_context(
        self, texts: Sequence[str] | Sequence[bytes], out: NDArray[np.float64]
    ) -> None:
        """Score the texts whose lower case the loop left to Python."""
        left = np.flatnonzero(np.isnan(out)).tolist()
        metrics.SLOW_TEXTS.inc(len(left))
        lowered = [
            (text if isinstance(text, str) else text.decode("utf-8", "surrogatepass")).lower()
            for text in (texts[number] for number in left)
        ]
        encoded = [text.encode("utf-8", "surrogatepass") for text in lowered]
        again = np.empty(len(left))
        sizes = np.fromiter(map(len, encoded), np.int64, len(left))
        room = new_room(int(sizes.max()), self._longest)
        loop.score(padded(b"\n".join(encoded)), sizes, self.table, room, again)
        out[left] = again

    def _take(self) -> Room:
        try:
            return self._rooms.pop()
        except IndexError:
            return new_room(ROOM_BYTES, self._longest)


def padded(data: bytes) -> NDArray[np.uint8]:
    """Texts with line feeds between, and with what the loop may read beyond their end."""
    return np.frombuffer(data + b"\n" * 9, np.uint8)


def new_room(size: int, longest: int, *, explains: bool = False) -> Room:
    """Scratch for a text of that many bytes, which has at most as many tokens.

    What is never touched costs no memory, and most of it never is.
    """
    grams = size * longest
    rows = (size, grams) if explains else (0, 0)
    return Room(
        np.empty(grams, np.uint64),
        np.empty(grams, np.uint64),
        # One more: a hit is written before it is known to be one.
        np.empty(grams + 1, np.int32),
        np.empty(grams, np.int32),
        np.zeros(max(64, 1 << (2 * grams).bit_length()), np.uint64),
        np.zeros(1, np.uint64),
        np.empty((rows[0], 2), np.int32),
        np.empty((rows[1] + explains, 2), np.int32),
    )


def _moved(explanation: Explanation, text: str) -> Explanation:
    """An explanation of the lower-cased text, with the spans in the text as it was."""
    origin = [i for i, character in enumerate(text) for _ in repeat(0, len(character.lower()))]
    return explanation._replace(
        contributions=[
            part._replace(spans=[(origin[begin], origin[end - 1] + 1) for begin, end in part.spans])
            for part in explanation.contributions
        ]
    )
