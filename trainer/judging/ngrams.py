"""What a pipeline has learnt of single n-grams.

By the names that scikit-learn's and our estimators give to what they have learnt, so that it works
for any pipeline that uses them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.judging import plots


def known(pipeline: Any) -> NDArray[np.object_] | None:  # noqa: ANN401 - sklearn has no types
    """The n-grams that a pipeline counts, in their order; None where no step of it tells them."""
    for _, step in pipeline.steps:
        if hasattr(step, "get_feature_names_out"):
            names: NDArray[np.object_] = step.get_feature_names_out()
            return names
    return None


def strongest(pipeline: Any) -> plots.Ngrams | None:  # noqa: ANN401 - as above
    """What the strongest n-grams add to the log-odds, before rows are brought to one length.

    Where texts of different length have weights of their own, the mean. None where a pipeline has
    no weight for each n-gram.
    """
    names, weights = known(pipeline), np.ones(1)
    coefficients = np.atleast_2d(getattr(pipeline.steps[-1][1], "coef_", []))
    if names is None or coefficients.shape[1] != len(names):
        return None
    for _, step in pipeline.steps:
        for learnt in ("ratio_", "idf_"):
            weights = weights * getattr(step, learnt, 1.0)
    weights = weights * coefficients.mean(axis=0)
    return plots.strongest(zip(names.tolist(), weights.tolist(), strict=True))
