"""Answers with a compiled model: texts in, probabilities or explanations out."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sentiment import metrics
from sentiment.compiled import loop
from sentiment.compiled.explainer import Explainer
from sentiment.compiled.room import ROOM_BYTES, Room, encoded, new_room, padded
from sentiment.compiled.table import Table
from sentiment.compiled.words import IN_CONTEXT
from sentiment.scoring import Explained


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
        self._explainer = Explainer(table)

    @property
    def rooms(self) -> int:
        """How many scratches are kept: as many as threads have scored at the same time."""
        return len(self._rooms)

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
        room = self._take() if longest <= ROOM_BYTES else self._new_room(longest)
        left = native(padded(texts), sizes, self.table, room, out)
        if longest <= ROOM_BYTES:
            self._rooms.append(room)
        return left

    def explain(self, texts: Sequence[str]) -> Explained:
        """See `explainer.Explainer`."""
        return self._explainer.explain(texts)

    def _new_room(self, size: int) -> Room:
        return new_room(size, self._longest, len(self.table.columns))

    def _take(self) -> Room:
        try:
            return self._rooms.pop()
        except IndexError:
            return self._new_room(ROOM_BYTES)


def _lowered(text: bytes) -> str:
    """In lower case, which needs no more context; what is no UTF-8 is part of no token."""
    return text.decode("utf-8", "replace").lower()
