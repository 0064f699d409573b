"""Scikit-learn's pipelines, as MLflow's `sklearn` flavour saves them with skops.

Pickles are refused unread: opening one runs whatever its author wrote. MLflow's own loader takes
the list of trusted types from the artifact; ours is fixed here. What is linear in word n-grams is
compiled; the rest is served by scikit-learn itself, slowly.
"""

import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Raw

from sentiment import wire
from sentiment.model.formats import mlmodel
from sentiment.model.formats.format import Format, NotServableError
from sentiment.model.scorer import MOST_PARTS, Explained, Fractions, Scorer, origins
from sentiment.wire import Explanation, Part

if TYPE_CHECKING:
    from sentiment.model.compiled.table import Table

# Ours; skops itself trusts what scikit-learn and NumPy need, and nothing that could run a command.
TRUSTED_TYPES = (
    "sentiment.model.LengthwiseClassifier",
    "sentiment.model.NaiveBayesScaler",
    "sentiment.ngrams.NgramVectorizer",
)
# Of a model's file: the bundled one has 28 MiB unpacked, in ten entries.
MOST_UNPACKED, MOST_ENTRIES = 128 << 20, 1000
# What it says of its objects is JSON, which takes twelve times as much in memory.
MOST_SCHEMA = 24 << 20
# What a loader must have to open the model, in the versions that wrote it.
REQUIREMENTS = ("mlflow", "numpy", "scikit-learn", "scipy", "skops")

# The model's file, where we write it.
_FILE = "model.skops"
# Stands in the model directory and shows what goes in.
_INPUT_EXAMPLE = "A warm and funny film with a wonderful cast."
# The earliest time that a zip archive can state.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
# Where scikit-learn's vectorisers keep the address of the stop words that they have looked at.
_STOP_WORDS_ID = re.compile(r'("_stop_words_id": \{[^{}]*"content": ")\d+')


class SklearnScorer(Scorer):
    """Answers with a scikit-learn pipeline.

    Args:
        pipeline: Fitted; takes texts and has `predict_proba`, with classes 0 and 1.
    """

    kind = "sklearn"

    def __init__(self, pipeline: Any) -> None:  # noqa: ANN401 - sklearn has no types
        self.pipeline = pipeline

    def score(self, texts: Sequence[str]) -> Fractions:
        """P(positive) of each text; shape (texts,)."""
        if not texts:
            # scikit-learn refuses matrices without rows.
            return np.empty(0)
        scores: Fractions = self.pipeline.predict_proba(texts)[:, 1]
        return scores

    def explain(self, texts: Sequence[str]) -> Explained:
        """The same, and why, where the pipeline is linear in word n-grams."""
        explanations = [explain(self.pipeline, text, MOST_PARTS) for text in texts]
        return Explained(self.score(texts), explanations)


class ScikitLearn(Format[SklearnScorer]):
    """Fitted pipelines: texts in, classes 0 and 1 out."""

    flavour = "sklearn"
    libraries = (
        "sentiment.model.formats.pipelines",
        "sentiment.model.compiled.build",
        "skops.io",
    )
    compiles = True

    def file_name(self, options: Mapping[str, object]) -> object:
        """What MLflow calls `pickled_model` in any case; only skops is taken."""
        try:
            stored_as, name = options["serialization_format"], options["pickled_model"]
        except KeyError as error:
            raise NotServableError("its MLmodel names no scikit-learn model") from error
        if stored_as != "skops":
            raise NotServableError(
                f"it is stored as {stored_as!s:.80}, which can run code when opened; only skops is"
            )
        return name

    def open(self, file: Path, trusted: Sequence[str] = ()) -> SklearnScorer:
        """Load a pipeline of trusted types alone."""
        import skops.io
        from skops.io.exceptions import UntrustedTypesFoundException

        _require_small(file)
        try:
            return SklearnScorer(skops.io.load(file, trusted=[*TRUSTED_TYPES, *trusted]))
        except UntrustedTypesFoundException as error:
            raise NotServableError(f"untrusted types: {error}") from error

    def save(
        self,
        model: Any,  # noqa: ANN401 - sklearn has no types
        directory: Path,
        *,
        trusted: Sequence[str],
        metadata: Mapping[str, str],
    ) -> None:
        """Let MLflow write the directory, then take memory addresses out of what skops wrote."""
        _save_with_mlflow(model, directory, [*TRUSTED_TYPES, *trusted], dict(metadata))
        _settle_skops(directory / _FILE)

    def check(self, scorer: SklearnScorer) -> None:
        """See `pipelines`."""
        from sentiment.model.formats import pipelines

        pipelines.check(scorer.pipeline)

    def compile(self, scorer: SklearnScorer) -> "Table":
        """Of a pipeline that is linear in word n-grams."""
        from sentiment.model.compiled.build import build
        from sentiment.model.compiled.linear import read

        return build(read(scorer.pipeline))

    def params(self, scorer: SklearnScorer) -> dict[str, object]:
        """The parameters of all steps that are plain values."""
        return {
            key: value
            for key, value in scorer.pipeline.get_params().items()
            if isinstance(value, str | int | float | tuple | list)
            and key not in {"steps", "verbose"}
        }


def load_pipeline(directory: Path) -> Any:  # noqa: ANN401 - sklearn has no types
    """The pipeline in a model directory, for inspecting a model of your own.

    Raises:
        ModelRefusedError: It has another format, or untrusted types.
    """
    opened = mlmodel.find(directory).open()
    if not isinstance(opened, SklearnScorer):
        raise mlmodel.refused(directory, "its MLmodel names no scikit-learn model")
    return opened.pipeline


def _require_small(file: Path) -> None:
    """Check an archive's list of contents before anything of it is unpacked.

    Raises:
        ValueError: It would be too much, or is packed in a way that could be.
    """
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    names = {entry.filename for entry in entries}
    if len(entries) > MOST_ENTRIES or len(names) < len(entries):
        raise ValueError(f"it has more than {MOST_ENTRIES} entries, or some of the same name")
    if not {entry.compress_type for entry in entries} <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ValueError("an entry is packed in another way than skops does")
    # No more than an entry says is ever unpacked of it.
    schema = sum(entry.file_size for entry in entries if entry.filename == "schema.json")
    if schema > MOST_SCHEMA or sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        raise ValueError(
            f"unpacked it has more than {MOST_UNPACKED >> 20} MiB, {MOST_SCHEMA >> 20} of them JSON"
        )


def _save_with_mlflow(
    pipeline: Any,  # noqa: ANN401 - as above
    directory: Path,
    trusted: list[str],
    metadata: dict[str, str],
) -> None:
    # MLflow looks for Git when it is imported, and warns where there is none.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from mlflow import sklearn
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    sklearn.save_model(
        pipeline,
        str(directory),
        serialization_format=sklearn.SERIALIZATION_FORMAT_SKOPS,
        skops_trusted_types=trusted,
        signature=ModelSignature(
            Schema([ColSpec(DataType.string)]), Schema([ColSpec(DataType.long)])
        ),
        input_example=[_INPUT_EXAMPLE],
        metadata=metadata,
        pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
    )


def _settle_skops(file: Path) -> None:
    """Number the parts in the order of their first mention, and compress them."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = parts.pop("schema.json").decode()
    schema = _STOP_WORDS_ID.sub(r"\g<1>0", schema)
    addresses = re.findall(r'"(?:__id__": |file": ")(\d+)', schema)
    numbers = {address: str(number) for number, address in enumerate(dict.fromkeys(addresses))}
    schema = re.sub(
        r'("(?:__id__": |file": "))(\d+)', lambda match: match[1] + numbers[match[2]], schema
    )
    renamed = {f"{numbers[name.removesuffix('.npy')]}.npy": data for name, data in parts.items()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in {**renamed, "schema.json": schema.encode()}.items():
            info = zipfile.ZipInfo(name, _NO_TIME)
            # Smaller by half; the weights themselves hardly compress.
            archive.writestr(info, data, zipfile.ZIP_DEFLATED, compresslevel=9)


# Explains scikit-learn pipelines that are linear in word n-grams but are not compiled. Slow: a
# call of the pipeline for each text, some milliseconds. What `sentiment.model.compiled` knows is
# explained there, at the cost of a score.


# Sums of a few thousand products, in float32 too, differ by less, however they are added up.
ROUNDING = 1e-6


def explain(pipeline: Any, text: str, most: int) -> Raw | None:  # noqa: ANN401 - sklearn has no types
    """Why a pipeline gives a text its score.

    Args:
        pipeline: Fitted, with classes 0 and 1.
        text: Any text.
        most: Most parts; the smallest ones beyond it are summed up.

    Returns:
        A `sentiment.wire.Explanation` in JSON, or None where the pipeline is none whose
        contributions are known for certain.
    """
    if not _is_known(pipeline):
        return None
    vectorizer, classifier = pipeline[0], pipeline[-1]
    row = np.asarray(pipeline[:-1].transform([text]).todense()).ravel()
    amounts = row * classifier.coef_.ravel()
    places = [
        (vectorizer.vocabulary_[gram], begin, end)
        for gram, begin, end in _grams(vectorizer, text)
        if gram in vectorizer.vocabulary_
    ]
    times = Counter(column for column, _, _ in places)
    parts = [Part(float(amounts[i]) / times[i], begin, end) for i, begin, end in places]
    log_odds = float(pipeline.decision_function([text])[0])
    intercept = float(classifier.intercept_[0])
    total = sum(part.contribution for part in parts)
    # False too where a number is none.
    if not abs(intercept + total - log_odds) <= ROUNDING:
        return None
    rest = 0.0
    if len(parts) > most:
        by_size = sorted(parts, key=lambda part: -abs(part.contribution))
        rest = sum(part.contribution for part in by_size[most:])
        parts = sorted(by_size[:most], key=lambda part: (part.begin, part.end))
    return Raw(wire.encode(Explanation(log_odds, intercept, parts, rest)))


def _is_known(pipeline: Any) -> bool:  # noqa: ANN401 - as above
    """Whether each column is an n-gram, from the vectoriser up to its coefficient."""
    # Not before it is needed: a worker starts without it where its model is compiled.
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MaxAbsScaler, Normalizer

    from sentiment.model.estimators import NaiveBayesScaler

    # Exact types: a subclass may compute anything.
    if type(pipeline) is not Pipeline:
        return False
    steps = [step for _, step in pipeline.steps if step not in {None, "passthrough"}]
    vectorizer, *scalers, classifier = steps
    scaling = {MaxAbsScaler, NaiveBayesScaler, Normalizer, TfidfTransformer}
    return (
        type(vectorizer) in {CountVectorizer, TfidfVectorizer}
        and (vectorizer.analyzer, vectorizer.input) == ("word", "content")
        and vectorizer.tokenizer is vectorizer.preprocessor is vectorizer.strip_accents is None
        and all(type(scaler) in scaling for scaler in scalers)
        and (
            type(classifier) is LogisticRegression
            or (type(classifier) is SGDClassifier and classifier.loss == "log_loss")
        )
    )


def _grams(vectorizer: Any, text: str) -> Iterator[tuple[str, int, int]]:  # noqa: ANN401 - as above
    """The n-grams of a text as the vectoriser makes them, and where each stands, in its order."""
    origin = origins(text) if vectorizer.lowercase else range(len(text))
    stop_words = vectorizer.get_stop_words() or ()
    pattern = re.compile(vectorizer.token_pattern)
    # Where the pattern has a group, that is the token.
    tokens = [
        (found[pattern.groups], *found.span(pattern.groups))
        for found in pattern.finditer(text.lower() if vectorizer.lowercase else text)
        if found[pattern.groups] not in stop_words
    ]
    shortest, longest = vectorizer.ngram_range
    for first, (_, begin, _) in enumerate(tokens):
        for length in range(shortest, min(longest, len(tokens) - first) + 1):
            words = tokens[first : first + length]
            gram = " ".join(word for word, _, _ in words)
            yield gram, origin[begin], origin[words[-1][2] - 1] + 1
