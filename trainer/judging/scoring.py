"""What models answer, and how fast: many texts with progress, several models in turns."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.progress import Say, ticking

# From texts to P(positive) of each, shape (texts,).
Score = Callable[[list[str]], NDArray[np.float64]]

# Texts scored between two looks at the clock: a second's work for the slowest model.
_BATCH = 500
# Enough for all domains and lengths, and a second's work for the slowest model.
_SAMPLE = 1000
# The fastest of them counts: whatever disturbs a run only makes it slower.
_REPETITIONS = 3


def scores(score: Score, texts: list[str], what: str, say: Say) -> NDArray[np.float64]:
    """Score many texts.

    Args:
        score: The model.
        texts: Any number but none.
        what: Follows the number of texts in what is said, such as `texts scored by champion`.
        say: Told of progress.

    Returns:
        P(positive) of each; shape (texts,).
    """
    starts = range(0, len(texts), _BATCH)
    batches = ticking(
        (texts[start : start + _BATCH] for start in starts), say, what, total=len(texts), size=len
    )
    return np.concatenate([score(batch) for batch in batches])


def sample(texts: list[str]) -> list[str]:
    """Some of the texts, evenly spread."""
    return texts[:: max(1, len(texts) // _SAMPLE)]


def speeds(models: Sequence[Score], texts: list[str]) -> list[float]:
    """Texts a second of one core's time: what others do on the machine doesn't count.

    Args:
        models: Take turns, so that a slow minute is slow for all.
        texts: What they score, all in one call.
    """
    spent: list[list[float]] = [[] for _ in models]
    for score in models:
        score(texts)
    for _ in range(_REPETITIONS):
        for score, times in zip(models, spent, strict=True):
            started = time.process_time()
            score(texts)
            times.append(time.process_time() - started)
    return [round(len(texts) / max(min(times), 1e-9), 1) for times in spent]
