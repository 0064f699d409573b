"""What the gates say of a challenger: it and the champion answer the same texts.

Where a version carries its evaluation on the very test table that is given, the stored scores are
compared: they come from a model that had not seen these texts, while a released model was fitted on
all of them. Otherwise the champion is loaded and scores the table; it may have seen some of the
texts, which favours the champion. The challenger is never judged in this way.

Behaviours, the compiled form, size and speed are those of the released models themselves.
"""

from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sentiment.artifact import SklearnScorer, load_pipeline
from sentiment.errors import InputError, ModelRefusedError
from trainer import tables
from trainer.judging import behaviours, intervals
from trainer.judging.figures import THRESHOLD, labels_of
from trainer.judging.scoring import sample, scores as scores_of, speeds
from trainer.params import Evaluate, Promote
from trainer.progress import Say
from trainer.promotion import gates
from trainer.promotion.gates import Check
from trainer.promotion.versions import Fetched, fetch


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
    """Go through all gates.

    Args:
        name: Name of the registered model.
        version: The challenger's version.
        champion_version: The champion's; None: there is none.
        params: The gates.
        evaluate: How intervals are drawn.
        test: The test table that the challenger was evaluated on; None where it is not at hand.
        folder: Where files of the models go.
        say: Told what is being done.

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
    checks = [
        Check("artifact", passed=True, reason=f"a worker takes it ({challenger.scorer.kind})")
    ]
    if challenger.report is None or challenger.scores is None:
        checks.append(Check("evaluation", passed=False, reason="it was registered without one"))
    elif champion_version is None:
        checks.append(gates.first(challenger.report.overall, params))
        checks += [
            gates.skip(gate, "there is no champion yet")
            for gate in ("domains", "behaviours", "speed")
        ]
    else:
        table = _the_table(challenger, test)
        say(f"Loading version {champion_version}, the champion …")
        try:
            champion = fetch(name, champion_version, folder / "champion")
        except ModelRefusedError as error:
            reason = f"the champion can't be compared with: {error.message}"
            checks.append(Check("metric", passed=False, reason=reason))
        else:
            checks += _compared(challenger, champion, table, params, evaluate, say)
    if challenger.report:
        now = _compiled_difference(challenger, test)
        report = challenger.report
        checks.append(gates.compiled(report.compiled_difference, report.not_compiled, now, params))
    file_sizes = (file.stat().st_size for file in challenger.directory.glob("*.skops"))
    return [*checks, gates.size(sum(file_sizes), params)]


def _the_table(challenger: Fetched, test: pd.DataFrame | None) -> pd.DataFrame:
    """The table that the challenger was evaluated on, or an error."""
    if test is None:
        raise InputError(
            "The test table is needed to compare the challenger with the champion.",
            "Give the folder with test.parquet as --data; `sentiment preprocess` makes it.",
        )
    if challenger.report and tables.digest(test) != challenger.report.test_sha256:
        raise InputError(
            f"Version {challenger.version} was evaluated on another test table than the one given.",
            "Give the folder with that table as --data, or evaluate, release and register again.",
        )
    return test


def _compared(  # noqa: PLR0913, PLR0917 - two models, on what, how
    challenger: Fetched,
    champion: Fetched,
    test: pd.DataFrame,
    params: Promote,
    evaluate: Evaluate,
    say: Say,
) -> list[Check]:
    """The gates that look at both models."""
    labels, domains = labels_of(test), test["domain"].to_numpy(object)
    texts: list[str] = test["text"].tolist()
    # `judge` has made sure that they are there.
    scores = cast("NDArray[np.float64]", challenger.scores)
    champions = _champions_scores(champion, test, say)
    say(f"{evaluate.bootstrap:,} resamplings …")
    difference = intervals.difference(params.metric, labels, domains, scores, champions, evaluate)
    say("Behaviours and speed …")
    mine, theirs = (
        {kind: found.share for kind, found in behaviours.run(model.scorer.score).items()}
        for model in (challenger, champion)
    )
    fast, before = speeds([challenger.scorer.score, champion.scorer.score], sample(texts))
    return [
        gates.better(difference, params),
        gates.no_loss(
            "domains",
            _accuracies(labels, domains, scores),
            _accuracies(labels, domains, champions),
            params.max_domain_loss,
        ),
        gates.no_loss("behaviours", mine, theirs, params.max_behaviour_loss),
        gates.speed(fast, before, params),
    ]


def _champions_scores(champion: Fetched, test: pd.DataFrame, say: Say) -> NDArray[np.float64]:
    if (
        champion.report is not None
        and champion.scores is not None
        and champion.report.test_sha256 == tables.digest(test)
    ):
        return champion.scores
    say(
        f"Version {champion.version}, the champion, was not evaluated on this table and scores it"
        " now. It may have seen some of the texts, which favours it."
    )
    texts: list[str] = test["text"].tolist()
    return scores_of(champion.scorer.score, texts, "texts scored by the champion", say)


def _accuracies(
    labels: NDArray[np.int64], domains: NDArray[np.object_], scores: NDArray[np.float64]
) -> dict[str, float]:
    right = pd.Series((scores >= THRESHOLD) == (labels == 1))
    return {str(domain): float(share) for domain, share in right.groupby(domains).mean().items()}


def _compiled_difference(model: Fetched, test: pd.DataFrame | None) -> float | None:
    """How far the answers are from scikit-learn's, on made sentences and on texts of the test."""
    if model.scorer.kind != "compiled":
        return None
    texts = [text for kind in behaviours.cases().values() for case in kind for text in case.texts]
    if test is not None:
        texts += sample(test["text"].tolist())
    by_sklearn = SklearnScorer(load_pipeline(model.directory))
    return float(np.abs(model.scorer.score(texts) - by_sklearn.score(texts)).max())
