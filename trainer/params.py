"""All parameters of the pipeline, read from `params.yaml` and checked before work begins.

The file is DVC's too: `dvc.yaml` names the parts that each stage depends on, so that a changed
parameter repeats the stages that it affects and no others.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta, Struct

from sentiment.errors import InputError

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class Strict(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the file; a name that it doesn't know is a mistake, not a comment."""


class Columns(Strict, frozen=True, kw_only=True):
    """Names of a source's columns (or of its JSON fields)."""

    text: str = "text"
    label: str = "label"
    # What a text is about, such as the film: texts of one group are never on both sides of a
    # split. None: each text is a group of its own.
    group: str | None = None
    # What kind of text it is; None: the source's own `domain`.
    domain: str | None = None


class Source(Strict, frozen=True, kw_only=True):
    """Where some labelled texts come from."""

    name: Name
    # A file or folder below the root, an absolute one, `s3://bucket/key`, `s3://bucket/prefix/`,
    # or an http(s) address.
    uri: str
    format: Literal["auto", "csv", "tsv", "json", "jsonl", "parquet", "aclimdb"] = "auto"
    columns: Columns = Columns()
    # What a label is written as, and what it means: 1 positive, 0 negative.
    labels: dict[str, Literal[0, 1]] = msgspec.field(
        default_factory=lambda: {"0": 0, "1": 1, "negative": 0, "positive": 1}
    )
    domain: str | None = None
    # `auto`: some groups are held out; else all of it goes to one side.
    split: Literal["auto", "train", "test"] = "auto"
    # Markdown for the model card: what it is, its licence, how to cite it.
    about: str = ""
    # Of the file or object behind `uri`; None: not compared.
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")] | None = None


class S3(Strict, frozen=True, kw_only=True):
    """How to reach S3; who we are comes from the environment, a profile or a role."""

    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None


class Ingest(Strict, frozen=True, kw_only=True):
    """Texts from where they are to `data/raw/`."""

    sources: Annotated[list[Source], Meta(min_length=1)]
    # Above this share of unusable rows a source is taken for the wrong one.
    max_rejected_share: Share = 0.02
    s3: S3 = S3()


class Preprocess(Strict, frozen=True, kw_only=True):
    """Cleaning and the split, to `data/prepared/`."""

    # Of the groups of `auto` sources.
    test_share: Share = 0.1
    seed: int = 0


class CandidateParams(Strict, frozen=True, kw_only=True):
    """A kind of model, and its own parameters."""

    # `module:Class` of a `trainer.train.Candidate`.
    kind: str
    params: dict[str, Any] = {}

    def written(self) -> str:
        """As JSON, the same text for the same parameters; saved with a model made with them."""
        return msgspec.json.encode(self, order="sorted").decode()


class Evaluate(Strict, frozen=True, kw_only=True):
    """How a candidate is judged."""

    # Resamplings of an interval: at 1,000, its ends are steady to a tenth of its width.
    bootstrap: Count = 1000
    confidence: Annotated[float, Meta(gt=0, lt=1)] = 0.95
    seed: int = 0


class Promote(Strict, frozen=True, kw_only=True):
    """The gates before `champion`."""

    metric: Literal["accuracy", "macro_accuracy", "f1", "roc_auc", "log_loss"] = "macro_accuracy"
    # The lower end of the interval of challenger less champion must be above this.
    min_gain: float = 0.0
    # How much worse one domain's accuracy, or one behaviour's share of passes, may be.
    max_domain_loss: Share = 0.02
    max_behaviour_loss: Share = 0.1
    # Largest difference between the compiled form and scikit-learn.
    max_compiled_difference: Positive = 1e-9
    max_size_mb: Positive = 15.0
    # Least speed of the challenger as a share of the champion's.
    min_speed_share: Share = 0.5
    # Where there is no champion yet, the first one must reach this.
    min_metric: float = 0.8
    # Share of people's labels that agree with its answers, as canary or champion; None: no gate.
    min_feedback_accuracy: Share | None = None
    # How many of them it takes: at 100 the share is known to about 0.1 (two standard errors).
    min_feedback_labels: Count = 100


class Params(Strict, frozen=True, kw_only=True):
    """The whole file."""

    ingest: Ingest
    preprocess: Preprocess = Preprocess()
    candidates: dict[Name, CandidateParams]
    # The candidate that is fitted on everything and registered.
    release: Name
    evaluate: Evaluate = Evaluate()
    promote: Promote = Promote()

    def candidate(self, name: str) -> CandidateParams:
        """One of the candidates.

        Raises:
            InputError: There is none of that name.
        """
        if name not in self.candidates:
            raise InputError(
                f"There is no candidate {name!r}; there are {', '.join(self.candidates)}.",
                "Candidates are described in params.yaml.",
            )
        return self.candidates[name]


def read(path: Path = Path("params.yaml")) -> Params:
    """Read and check the file.

    Raises:
        InputError: It is missing, is no YAML, or holds something unknown or out of range.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        params = msgspec.convert(document, Params)
    except FileNotFoundError:
        raise InputError(
            f"There is no file {path}.", "Run from the project's root, or give --params."
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise InputError(f"{path} can't be used: {error}") from error
    if params.release not in params.candidates:
        raise InputError(
            f"{path}: 'release' is {params.release!r}, which is none of the candidates"
            f" {', '.join(params.candidates)}."
        )
    return params
