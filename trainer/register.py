"""The register stage: a released model becomes a version in the registry, with all that is known.

The run in MLflow's tracking gets parameters, figures, plots and the card; the version gets tags
that say which data and code it comes from.
"""

import hashlib
import re
from importlib.metadata import version as installed
from pathlib import Path

import yaml

from sentiment.errors import InputError, ModelRefusedError
from sentiment.model import drift
from sentiment.model.formats.mlmodel import MARK, find, metadata
from sentiment.registry.artifact import checksums, digest, open_here
from sentiment.registry.download import DIGEST_TAG
from sentiment.registry.publish import (
    ALIAS,
    NAME,
    TIMEOUT_S,
    add_version,
    bundled_model,
    publish,
    start_run,
)
from sentiment.registry.tracking import connect
from trainer import promote, reports, tables
from trainer.gates import evaluation
from trainer.reports import Report, Say, silent
from trainer.train import require

_RELEASE_HINT = "`sentiment release` makes a directory with all that is needed."


def register(
    directory: Path = tables.RELEASE,
    *,
    name: str = NAME,
    alias: str = promote.CHALLENGER,
    say: Say = silent,
) -> str:
    """Publish a released model as a new version, and set the alias, if there is one.

    Raises:
        InputError: The directory lacks something, or the alias is `champion`.
        ModelRefusedError: A worker would refuse it; nothing was published.
        RegistryUnavailableError: The registry doesn't answer.
    """
    if alias == ALIAS:
        raise InputError(
            f"A model becomes {ALIAS} through the gates alone.",
            "Register it as challenger; then `sentiment promote`, with --force REASON if need be.",
        )
    say(f"Checking {directory} …")
    found = _checked(directory)
    tags = _tags(directory, found)
    with connect(TIMEOUT_S) as client, start_run(client, None, name) as run:
        run_id = run.info.run_id
        say("Uploading …")
        client.set_tag(run_id, "sentiment.code_version", tags["sentiment.code_version"])
        client.log_artifact(run_id, str(directory / tables.CARD))
        images = directory / tables.EVALUATION / tables.IMAGES
        if images.is_dir():
            client.log_artifacts(run_id, str(images), "plots")
        version = add_version(
            client,
            run,
            name,
            directory,
            tags=tags,
            params=_params(directory, found),
            metrics=_metrics(found),
        )
        if alias:
            client.set_registered_model_alias(name, alias, version)
    return version


def register_bundled(*, name: str = NAME, alias: str = ALIAS) -> str:
    """Publish the model that comes with this package; as `champion`, without any gate.

    Raises:
        RegistryUnavailableError: The registry doesn't answer.
    """
    version = publish(bundled_model(), name=name, alias="")
    if not alias:
        return version
    with connect(TIMEOUT_S) as client:
        if alias == ALIAS:
            before = promote.champion_of(client, name)
            promote.move(client, name, before, version, "register", reason="bundled model")
        else:
            client.set_registered_model_alias(name, alias, version)
    return version


def _checked(directory: Path) -> Report:
    """Everything that a release has is there, and a worker would take it."""
    require(directory, "release")
    open_here(directory)
    document = yaml.safe_load((directory / MARK).read_text(encoding="utf-8"))
    for part in ("signature", "saved_input_example_info"):
        if not document.get(part):
            raise ModelRefusedError(f"{directory} has no {part} in its MLmodel.", _RELEASE_HINT)
    if not (directory / tables.CARD).is_file():
        raise InputError(f"{directory} has no {tables.CARD}.", _RELEASE_HINT)
    reports.read_as(directory / drift.FILE, drift.Reference, "release")
    found, scores = evaluation(directory)
    if found is None or scores is None:
        what = tables.REPORT if found is None else reports.SCORES
        raise InputError(
            f"{directory} has no {tables.EVALUATION / what}, or it doesn't fit.", _RELEASE_HINT
        )
    return found


def _tags(directory: Path, found: Report) -> dict[str, str]:
    noted = {f"sentiment.{key}": value for key, value in metadata(directory).items()}
    figures = {
        f"sentiment.{figure}": f"{found.overall[figure].value:.4f}"
        for figure in ("accuracy", "macro_accuracy")
        if figure in found.overall
    }
    return {
        **noted,
        **figures,
        "sentiment.candidate": found.candidate,
        "sentiment.train_sha256": found.train_sha256,
        "sentiment.test_sha256": found.test_sha256,
        "sentiment.drift_sha256": hashlib.sha256((directory / drift.FILE).read_bytes()).hexdigest(),
        "sentiment.code_version": tables.code_version(),
        "sentiment.package_version": installed("sentiment-stream"),
        DIGEST_TAG: digest(checksums(directory)),
    }


def _params(directory: Path, found: Report) -> dict[str, str]:
    """What was trained: the candidate, sizes of the data, and the model's own parameters."""
    file = find(directory)
    own = file.format.params(file.open())
    return {
        "candidate": found.candidate,
        "train_texts": str(found.train_texts),
        "test_texts": str(found.test_texts),
        **{key: str(value) for key, value in sorted(own.items())},
    }


def _metrics(found: Report) -> dict[str, float]:
    """The report's figures under names that MLflow takes; a slash makes a group of them."""
    metrics = {"size_bytes": float(found.size_bytes)}
    for figure, interval in found.overall.items():
        metrics[figure] = interval.value
        metrics[f"{figure}_low"] = interval.low
        metrics[f"{figure}_high"] = interval.high
    for domain, figures in found.domains.items():
        metrics[f"domain/{_plain(domain)}"] = figures["accuracy"].value
    for kind, behaviour in found.behaviours.items():
        metrics[f"behaviour/{_plain(kind)}"] = behaviour.share
    if found.compiled_difference is not None:
        metrics["compiled_difference"] = found.compiled_difference
    return metrics


def _plain(name: str) -> str:
    """A domain's name, whatever it holds, as part of a metric's name."""
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
