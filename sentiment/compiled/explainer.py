"""Says why texts have their scores: texts in, scores and explanations in JSON out."""

from collections.abc import Sequence

import numpy as np
from msgspec import Raw
from msgspec.structs import replace
from numpy.typing import NDArray

from sentiment import events, metrics
from sentiment.compiled import explain as native, loop
from sentiment.compiled.room import ROOM_BYTES, Page, Room, encoded, new_page, new_room, padded
from sentiment.compiled.table import Table
from sentiment.events import Part
from sentiment.explaining import origins
from sentiment.scoring import MOST_PARTS, Explained

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
        self._scratch: list[tuple[Room, Page]] = []

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
        room, page = scratch = self._take() if longest <= ROOM_BYTES else self._new(longest)
        data, begin = padded(utf8), 0
        while (first := len(explanations)) < len(texts):
            done, begin = native.explain(
                data, sizes, first, begin, self._table, room, page, most, scores, ends
            )
            explanations += _cut(page.json, ends[first:done].tolist())
        if longest <= ROOM_BYTES:
            self._scratch.append(scratch)
        for number in np.flatnonzero(ends == native.NOT_DONE).tolist():
            metrics.SLOW_TEXTS.inc()
            lowered = self._explain([texts[number].lower()], most)
            scores[number] = lowered.scores[0]
            explanations[number] = _moved(lowered.explanations[0], texts[number])
        return Explained(scores, explanations)

    def _take(self) -> tuple[Room, Page]:
        try:
            return self._scratch.pop()
        except IndexError:
            return self._new(ROOM_BYTES)

    def _new(self, size: int) -> tuple[Room, Page]:
        longest, places = int(self._table.options[loop.LONGEST]), len(self._table.columns)
        room = new_room(size, longest, places, explains=True)
        return room, new_page(size, longest, JSON_BYTES)


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
    found = events.decode_explanation(explanation)
    parts = [
        Part(part.contribution, origin[part.begin], origin[part.end - 1] + 1)
        for part in found.parts
    ]
    return Raw(events.encode(replace(found, parts=parts)))
