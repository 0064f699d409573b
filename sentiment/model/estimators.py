"""The scikit-learn estimators of our models, and the pipeline that they make.

A text is the set of its 1- to 3-grams. Each n-gram is weighted by how much more often it stands in
positive than in negative texts, rows get length 1, and a linear classifier decides: the "NBSVM" of
S. Wang and C. Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification",
ACL 2012, with logistic regression in place of the SVM so that the answer is a probability.

A word may weigh differently in a tweet and in a review of a page: the classifier has weights for
short and for long texts, which share what they have in common.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix, diags, hstack, issparse
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Normalizer
from sklearn.utils import ClassifierTags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    check_non_negative,
    validate_data,
)

from sentiment.model.ngrams import NgramVectorizer

Fractions = NDArray[np.float64]

# Weights keep this many bits: nine are a fifth of a percent, which no decision notices, and a model
# of a million n-grams compresses to a third.
WEIGHT_BITS = 9


class NaiveBayesScaler(TransformerMixin, BaseEstimator):  # type: ignore[misc] # see above
    """Multiplies each feature by the log-ratio of its share in positive and in negative texts.

    Args:
        alpha: Added to each count, so that a feature of one class only has a finite weight.

    Attributes:
        ratio_: ln((p / |p|) / (q / |q|)), rounded, with p, q the smoothed counts of the positive
            and of the negative texts (Wang and Manning 2012, section 2.1); shape (features,),
            float64.
    """

    # The name in saved models: see `sentiment.model`.
    __module__ = "sentiment.model"

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def fit(
        self,
        X: Any,  # noqa: ANN401, N803 - sparse or dense; sklearn's name
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Count features by class: of the two, the last one in order is positive.

        Args:
            X: How often texts have features; shape (texts, features).
            y: Their classes; shape (texts,).
            sample_weight: How often each text counts; None: once.

        Raises:
            ValueError: X has negative numbers, or other than two classes are given.
        """
        X, y = validate_data(self, X, y, accept_sparse="csr")  # noqa: N806 - sklearn's name
        check_non_negative(X, "NaiveBayesScaler.fit")
        classes = _two_classes(y)
        weight = _weights(sample_weight, X)
        positive = y == classes[1]
        p = self.alpha + X.T @ (weight * positive)
        q = self.alpha + X.T @ (weight * ~positive)
        self.ratio_: Fractions = rounded(np.log(p / p.sum()) - np.log(q / q.sum()))
        return self

    def transform(self, X: Any) -> Any:  # noqa: ANN401, N803 - as above
        """Scale the features; what is given stays as it is."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False)  # noqa: N806
        if not issparse(X):
            return X * self.ratio_
        return csr_matrix((X.data * self.ratio_[X.indices], X.indices, X.indptr), shape=X.shape)

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 - sklearn has no types
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = True
        tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags


class LengthwiseClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # see above
    """Logistic regression whose weights go from those of short texts to those of long ones.

    Each feature has a weight that all texts share and one each for short and for long texts, as in
    H. Daume, "Frustratingly Easy Domain Adaptation", ACL 2007, with a text's length for its domain:
    that is known in service too. A text's length is the number of its different known n-grams.

    Args:
        short: Up to this length a text is short.
        long: From this length on it is long; in between it is partly either.
        C: Inverse strength of the L2 penalty.

    Attributes:
        classes_: The two classes.
        coef_: Weights in short and in long texts, rounded; shape (2, features), float64.
        intercept_: The same for the intercept; shape (2,), float64.
    """

    # The name in saved models: see `sentiment.model`.
    __module__ = "sentiment.model"

    def __init__(self, short: float = 30.0, long: float = 300.0, C: float = 5.0) -> None:  # noqa: N803 - sklearn's name
        self.short = short
        self.long = long
        self.C = C

    def fit(
        self,
        X: Any,  # noqa: ANN401, N803 - sparse or dense; sklearn's name
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the weights.

        Args:
            X: Rows of length 1; shape (texts, features).
            y: Their classes; shape (texts,).
            sample_weight: How much each text counts; None: once.

        Raises:
            ValueError: `short` is not below `long`, or other than two classes are given.
        """
        if not 0 <= self.short < self.long:
            raise ValueError(f"short={self.short} must be below long={self.long}")
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64)  # noqa: N806
        self.classes_: NDArray[Any] = _two_classes(y)
        X = csr_matrix(X)  # noqa: N806
        far = self._far(X)
        features = hstack([X, diags(1 - far) @ X, diags(far) @ X], format="csr")
        # The dual form is liblinear's quickest where features outnumber texts by far.
        inner = LogisticRegression(C=self.C, solver="liblinear", dual=True, random_state=0)
        inner.fit(features, y == self.classes_[1], _weights(sample_weight, X))
        shared, short, long = inner.coef_.reshape(3, -1)
        self.coef_: Fractions = rounded(np.stack([shared + short, shared + long]))
        self.intercept_: Fractions = np.repeat(inner.intercept_, 2)
        return self

    def decision_function(self, X: Any) -> Fractions:  # noqa: ANN401, N803 - as above
        """The log-odds of the second class; shape (rows,)."""
        check_is_fitted(self)
        X = csr_matrix(validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False))  # noqa: N806
        far = self._far(X)
        # One after the other: for both at once, each call would lay all weights out anew.
        short, long = (X @ coef + self.intercept_[i] for i, coef in enumerate(self.coef_))
        log_odds: Fractions = (1 - far) * short + far * long
        return log_odds

    def predict_proba(self, X: Any) -> Fractions:  # noqa: ANN401, N803 - as above
        """The probabilities of both classes; shape (rows, 2)."""
        positive = expit(self.decision_function(X))
        return np.column_stack([1 - positive, positive])

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: ANN401, N803 - as above
        """The likelier class of each row; shape (rows,)."""
        check_is_fitted(self)
        labels: NDArray[Any] = self.classes_[(self.decision_function(X) >= 0).astype(int)]
        return labels

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 - sklearn has no types
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_class = False
        return tags

    def _far(self, X: csr_matrix) -> Fractions:  # noqa: N803 - sklearn's name
        length = np.diff(X.indptr)
        far: Fractions = np.clip((length - self.short) / (self.long - self.short), 0, 1)
        return far


def build(
    min_df: Sequence[int] = (2, 3, 3),
    alpha: float = 1.0,
    short: float = 30.0,
    long: float = 300.0,
    C: float = 5.0,  # noqa: N803 - sklearn's name
) -> Pipeline:
    """The pipeline, not fitted: texts in, classes 0 (negative) and 1 (positive) out.

    Args:
        min_df: See `NgramVectorizer`.
        alpha: See `NaiveBayesScaler`.
        short: See `LengthwiseClassifier`.
        long: Same.
        C: Same.
    """
    return Pipeline(
        [
            ("ngrams", NgramVectorizer(min_df)),
            ("scale", NaiveBayesScaler(alpha)),
            ("length", Normalizer()),
            ("classify", LengthwiseClassifier(short, long, C)),
        ]
    )


def rounded(values: Fractions, bits: int = WEIGHT_BITS) -> Fractions:
    """The nearest numbers with that many bits, so that they compress."""
    mantissa, exponent = np.frexp(values)
    nearest: Fractions = np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)
    return nearest


def _two_classes(y: ArrayLike) -> NDArray[Any]:
    check_classification_targets(y)
    classes: NDArray[Any] = np.unique(y)
    if len(classes) > 2:  # noqa: PLR2004 - positive and negative
        raise ValueError(
            "Only binary classification is supported. The type of the target is"
            f" {type_of_target(y)}."
        )
    if len(classes) < 2:  # noqa: PLR2004 - as above
        raise ValueError("Two classes are needed, and the data has one class only.")
    return classes


def _weights(sample_weight: ArrayLike | None, X: Any) -> Fractions:  # noqa: ANN401, N803 - as above
    weights: Fractions = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("All sample weights are zero.")
    return weights
