"""The gates before a promotion: each a function of figures, with a message that gives them.

A figure that is no number (NaN) passes no gate.

The challenger and the champion answer the same texts. Where a version carries its evaluation on the
very test table that is given, the stored scores are compared: they come from a model that had not
seen these texts, while a released model was fitted on all of them. Otherwise the champion is loaded
and scores the table; it may have seen some of the texts, which favours the champion. The challenger
is never judged in this way. Behaviours, the compiled form, size and speed are those of the released
models themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from msgspec import Struct
from numpy.typing import NDArray

from sentiment.errors import InputError, ModelRefusedError, SetupError
from sentiment.model.formats.mlmodel import ModelFile, find
from sentiment.model.scorer import THRESHOLD, Scorer
from sentiment.registry.model_cache import ModelCache
from sentiment.registry.publish import TIMEOUT_S
from sentiment.registry.registry import Registry
from sentiment.registry.tracking import registry_id
from sentiment.settings import ModelSettings
from trainer import reports, tables
from trainer.judging import behaviours, figures
from trainer.params import Evaluate, Promote
from trainer.reports import LOWER_IS_BETTER, Interval, Report, Say

if TYPE_CHECKING:
    from sentiment.feedback import Accuracy

# Decimals of losses that are compared with a limit: 0.90 - 0.88 is a little above 0.02 in binary.
_DECIMALS = 9

# A megabyte as disks and downloads count.
_MB = 1_000_000


class Check(Struct, frozen=True):
    """What one gate found: whether a model may go through, and a sentence with the figures."""

    gate: str
    passed: bool
    reason: str
    # There was nothing to compare with; such a gate lets all through.
    skipped: bool = False


def skip(gate: str, reason: str) -> Check:
    """A gate that has nothing to compare with."""
    return Check(gate, passed=True, reason=reason, skipped=True)


def better(difference: Interval, params: Promote) -> Check:
    """The main metric, of challenger less champion, is better at the interval's lower end too."""
    if params.metric in LOWER_IS_BETTER:
        gain = Interval(-difference.value, -difference.high, -difference.low)
        figure = f"{params.metric} (less is better)"
    else:
        gain = difference
        figure = params.metric
    passed = gain.low > params.min_gain
    return Check(
        "metric",
        passed,
        f"gain in {figure} {gain.value:+.4f}, interval {gain.low:+.4f} to {gain.high:+.4f}; its"
        f" lower end {'is' if passed else 'must be'} above {params.min_gain:g}",
    )


def first(overall: Mapping[str, Interval], params: Promote) -> Check:
    """Where there is no champion to beat: the main metric of the report is good enough."""
    if params.metric not in overall:
        return Check("metric", passed=False, reason=f"its report has no {params.metric}")
    value = overall[params.metric].value
    lower = params.metric in LOWER_IS_BETTER
    passed = value <= params.min_metric if lower else value >= params.min_metric
    return Check(
        "metric",
        passed,
        f"{params.metric} is {value:.4f}; the first champion needs at"
        f" {'most' if lower else 'least'} {params.min_metric:g}",
    )


def no_loss(
    gate: str, challenger: Mapping[str, float], champion: Mapping[str, float], most: float
) -> Check:
    """No single share, such as the accuracy of one domain, falls by more than `most`.

    A name that is new or gone is not compared.
    """
    common = [name for name in challenger if name in champion]
    if not common:
        return skip(gate, "nothing in common with the champion")
    losses = {name: round(champion[name] - challenger[name], _DECIMALS) for name in common}
    worse = [name for name in common if not losses[name] <= most]
    shown = sorted(worse, key=losses.__getitem__, reverse=True) or [max(common, key=losses.get)]  # type: ignore[arg-type]
    figures = ", ".join(f"{n} {champion[n]:.4f} to {challenger[n]:.4f}" for n in shown)
    if worse:
        reason = f"{len(worse)} of {len(common)} fall by more than {most:g}: {figures}"
    else:
        reason = f"none of {len(common)} falls by more than {most:g}; the worst: {figures}"
    return Check(gate, not worse, reason)


def compiled(reported: float | None, why_not: str, now: float | None, params: Promote) -> Check:
    """The compiled form gives the same answers as scikit-learn, within a difference.

    The report found one, and gives the reason where it could not be compiled. The one found just
    now is None where scikit-learn serves the model here.
    """
    most = params.max_compiled_difference
    if reported is None or now is None:
        why = why_not if reported is None else "the worker serves it through scikit-learn here"
        return Check("compiled", passed=False, reason=f"it is not compiled: {why or 'no reason'}")
    return Check(
        "compiled",
        reported <= most and now <= most,
        f"differs from scikit-learn by {reported:.1e} in the report and {now:.1e} now; allowed is"
        f" {most:g}",
    )


def size(found: int, params: Promote) -> Check:
    """The file of the model, of so many bytes, is small enough."""
    return Check(
        "size",
        found <= params.max_size_mb * _MB,
        f"{found / _MB:.2f} MB; allowed are {params.max_size_mb:g}",
    )


def speed(challenger: float, champion: float, params: Promote) -> Check:
    """It is not much slower: texts a second, in the same run on the same texts."""
    share = challenger / champion
    return Check(
        "speed",
        share >= params.min_speed_share,
        f"{challenger:,.0f} texts a second, the champion {champion:,.0f}: a share of {share:.2f};"
        f" at least {params.min_speed_share:g} is asked",
    )


def feedback(found: "Accuracy | None", least: float, params: Promote) -> Check:
    """People agree with at least so many of the answers that it has given so far."""
    labels = found.labels if found else 0
    if found is None or labels < params.min_feedback_labels:
        return Check(
            "feedback",
            passed=False,
            reason=f"people labelled {labels:,} of its answers; {params.min_feedback_labels:,} are"
            " asked: let it answer a share of the keys (MODEL_CANARY_SHARE)",
        )
    return Check(
        "feedback",
        found.accuracy >= least,
        f"{found.accuracy:.4f} of {labels:,} labels agree with its answers; at least {least:g} is"
        " asked",
    )


# A challenger and the champion, fetched and compared.


@dataclass(frozen=True)
class Fetched:
    """A version on disk, as a worker would serve it: it has passed the worker's checks."""

    version: str
    file: ModelFile
    scorer: Scorer
    # Its evaluation, with the scores of its texts, shape (texts,); None if there is none.
    report: Report | None
    scores: NDArray[np.float64] | None


def fetch(name: str, version: str, folder: Path) -> Fetched:
    """Download a version to a folder in the way of a worker, with all of its checks.

    Raises:
        ModelRefusedError: A worker would refuse it.
        SetupError: It can't be stored.
    """
    address = f"/{version}"
    settings = ModelSettings(
        uri=f"models:/{name}{address}", cache_dir=folder, registry_timeout_s=TIMEOUT_S
    )
    loaded = Registry(settings).load(version)
    copy = ModelCache(folder, registry_id(), name, address).last()
    if copy is None:
        raise SetupError(f"Version {version} of {name} could not be kept in {folder}.")
    found, scores = evaluation(copy.directory)
    return Fetched(version, find(copy.directory), loaded.scorer, found, scores)


def evaluation(directory: Path) -> tuple[Report | None, NDArray[np.float64] | None]:
    """The evaluation in a model directory: the report, and the scores if they fit to it.

    Raises:
        InputError: The report is there and can't be read.
    """
    folder = directory / tables.EVALUATION
    if not (folder / tables.REPORT).is_file():
        return None, None
    found = reports.read(folder / tables.REPORT)
    try:
        return found, reports.read_scores(folder / reports.SCORES, found.test_texts)
    except InputError:
        return found, None


def judge(  # noqa: PLR0913, PLR0917 - who, by which rules, on which texts
    name: str,
    version: str,
    champion_version: str | None,
    params: Promote,
    evaluate: Evaluate,
    test: pd.DataFrame | None,
    folder: Path,
    say: Say,
) -> list[Check]:
    """Go through all gates; `test` is the table that the challenger was evaluated on, if at hand.

    Files of the models go to `folder`.

    Returns:
        What each gate found. The first says whether a worker takes the challenger at all.

    Raises:
        InputError: There is a champion, and the test table is missing or another one.
        RegistryUnavailableError: The registry doesn't answer.
    """
    say(f"Loading version {version} …")
    try:
        challenger = fetch(name, version, folder / "challenger")
    except ModelRefusedError as error:
        return [Check("artifact", passed=False, reason=error.message)]
    reason = f"a worker takes it ({challenger.scorer.kind})"
    checks = [Check("artifact", passed=True, reason=reason)]
    if challenger.report is None or challenger.scores is None:
        checks.append(Check("evaluation", passed=False, reason="it was registered without one"))
    elif champion_version is None:
        checks.append(first(challenger.report.overall, params))
        checks += [
            skip(gate, "there is no champion yet") for gate in ("domains", "behaviours", "speed")
        ]
    else:
        if test is None:
            raise InputError(
                "The test table is needed to compare the challenger with the champion.",
                "Give the folder with test.parquet as --data; `sentiment preprocess` makes it.",
            )
        if tables.digest(test) != challenger.report.test_sha256:
            raise InputError(
                f"Version {version} was evaluated on another test table than the one given.",
                "Give the folder with that table as --data, or evaluate, release and register"
                " again.",
            )
        say(f"Loading version {champion_version}, the champion …")
        try:
            champion = fetch(name, champion_version, folder / "champion")
        except ModelRefusedError as error:
            reason = f"the champion can't be compared with: {error.message}"
            checks.append(Check("metric", passed=False, reason=reason))
        else:
            checks += _compared(challenger, champion, test, params, evaluate, say)
    if challenger.report:
        checks.append(_compiled(challenger, challenger.report, test, params))
    return [*checks, size(challenger.file.path.stat().st_size, params)]


def _compared(  # noqa: PLR0913, PLR0917 - two models, on what, how
    challenger: Fetched,
    champion: Fetched,
    test: pd.DataFrame,
    params: Promote,
    evaluate: Evaluate,
    say: Say,
) -> list[Check]:
    """The gates that compare both models."""
    labels, domains = figures.labels_of(test), test["domain"].to_numpy(object)
    texts: list[str] = test["text"].tolist()
    # `judge` has made sure that they are there.
    scores = cast("NDArray[np.float64]", challenger.scores)
    noted, champions = champion.report, champion.scores
    if noted is None or champions is None or noted.test_sha256 != tables.digest(test):
        say(
            f"Version {champion.version}, the champion, was not evaluated on this table and scores"
            " it now. It may have seen some of the texts, which favours it."
        )
        champions = figures.scores(
            champion.scorer.score, texts, "texts scored by the champion", say
        )
    say(f"{evaluate.bootstrap:,} resamplings …")
    differences = figures.differences(labels, domains, scores, champions, evaluate)
    say("Behaviours and speed …")
    mine, theirs = (
        {kind: found.share for kind, found in behaviours.run(model.scorer.score).items()}
        for model in (challenger, champion)
    )
    scorers = [challenger.scorer.score, champion.scorer.score]
    fast, before = figures.speeds(scorers, figures.sample(texts))
    right = pd.DataFrame({0: scores, 1: champions}).ge(THRESHOLD).eq(labels == 1, axis=0)
    accuracies = right.groupby(domains).mean().to_dict()
    return [
        better(differences[params.metric], params),
        no_loss("domains", accuracies[0], accuracies[1], params.max_domain_loss),
        no_loss("behaviours", mine, theirs, params.max_behaviour_loss),
        speed(fast, before, params),
    ]


def _compiled(model: Fetched, report: Report, test: pd.DataFrame | None, params: Promote) -> Check:
    """The difference from its library's scores, on behaviour tests and on texts of the test."""
    if not model.file.format.compiles:
        flavour = model.file.format.flavour
        return skip("compiled", f"models of the format {flavour!r} have no compiled form")
    now = None
    if model.scorer.kind == "compiled":
        texts = [t for kind in behaviours.cases().values() for case in kind for t in case.texts]
        if test is not None:
            texts += figures.sample(test["text"].tolist())
        by_itself = model.file.open()
        now = float(np.abs(model.scorer.score(texts) - by_itself.score(texts)).max())
    return compiled(report.compiled_difference, report.not_compiled, now, params)
