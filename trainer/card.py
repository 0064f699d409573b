"""The model card and the metadata that go with a model, both made from what was measured."""

from importlib.resources import files
from string import Template

from trainer.report import Report

_NAMES = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "roc_auc": "area under the ROC curve",
    "log_loss": "log-loss",
    "calibration_error": "expected calibration error",
}


def render(report: Report, about: str) -> str:
    """The text of `MODEL_CARD.md`, with what the user says about the data."""
    template = Template((files("trainer") / "card.md").read_text(encoding="utf-8"))
    params = report.params
    return template.substitute(
        about=about.strip() or "Its source was not described.",
        data=report.data,
        data_sha256=report.data_sha256,
        texts=f"{report.texts:,}",
        groups=f"{report.groups:,}",
        least=params.min_df[0],
        longest=len(params.min_df),
        min_df=", ".join(map(str, params.min_df)),
        alpha=f"{params.alpha:g}",
        C=f"{params.C:g}",
        features="\n".join(
            f"- {count:,} sequences of length {n}"
            for n, count in enumerate(report.features, start=1)
        ),
        fold_count=len(report.folds),
        folds=", ".join(f"{accuracy:.4f}" for accuracy in report.folds),
        figures="\n".join(
            f"| {_NAMES[name]} | {value:.4f} |" for name, value in report.figures.items()
        ),
    )


def metadata(report: Report) -> dict[str, str]:
    """What stands in the MLmodel, and from there becomes tags of a published version."""
    return {
        "data": report.data,
        "data_sha256": report.data_sha256,
        "accuracy": f"{report.figures['accuracy']:.4f}",
    }
