"""The model: text rules, n-grams, estimators, and a linear model as native code.

Saved models name their estimators as members of `sentiment.model` and `sentiment.ngrams`, where
they stood when models were first saved. Those names stay, wherever the classes move.

- `text`: from a text to its tokens, by fixed rules
- `ngrams`: from tokens to counted n-grams
- `estimators`: the pipeline that is trained and served
- `scorer`: what any served model does: scores, explanations, probes
- `drift`: the reference that workers compare texts and scores with
- `formats`: the kinds of models that can be served, one file each
- `compiled`: a linear model as a hash table and one native loop
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentiment.model.estimators import LengthwiseClassifier, NaiveBayesScaler

__all__ = ["LengthwiseClassifier", "NaiveBayesScaler"]


def __getattr__(name: str) -> object:
    """The estimators, when a saved model asks for them: scikit-learn is a second of imports."""
    if name in __all__:
        from sentiment.model import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
