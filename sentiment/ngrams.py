"""The name under which saved models know the vectorizer; it is in `sentiment.model.ngrams`."""

from sentiment.model.ngrams import NgramVectorizer

__all__ = ["NgramVectorizer"]
