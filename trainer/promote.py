"""The promote stage: `champion` moves to a challenger that passes every gate, or stays."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from msgspec import Struct
from numpy.typing import NDArray

from sentiment.errors import InputError, ModelNotFoundError, ModelRefusedError
from sentiment.feedback import Accuracy
from sentiment.model.scorer import THRESHOLD
from sentiment.registry.publish import ALIAS, NAME, TIMEOUT_S
from sentiment.registry.tracking import connect, models
from trainer import tables
from trainer.judging import behaviours, intervals
from trainer.judging.figures import labels_of, sample, scores as scores_of, speeds
from trainer.params import Evaluate, Promote
from trainer.progress import Say, silent
from trainer.promotion import audit, gates
from trainer.promotion.gates import Check
from trainer.promotion.versions import Fetched, fetch, resolve
from trainer.register import CHALLENGER
from trainer.report import Report


class Decision(Struct, frozen=True):
    """What became of a challenger.

    Attributes:
        name: Name of the registered model.
        challenger: Its version.
        champion: The version it was compared with; None if there was none.
        checks: What each gate found.
        promoted: The alias was moved.
        forced: The reason for moving it although a gate said no; empty where none was needed.
        dry_run: Nothing was changed, whatever the gates said.
    """

    name: str
    challenger: str
    champion: str | None
    checks: list[Check]
    promoted: bool
    forced: str = ""
    dry_run: bool = False

    @property
    def passed(self) -> bool:
        """No gate said no."""
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> list[str]:
        """What each gate that said no found."""
        return [f"{check.gate}: {check.reason}" for check in self.checks if not check.passed]


def promote(  # noqa: PLR0913 - who, by which rules, on which texts
    name: str = NAME,
    version: str = CHALLENGER,
    *,
    params: Promote,
    evaluate: Evaluate,
    test: pd.DataFrame | None = None,
    labels: Mapping[str, Accuracy] | None = None,
    dry_run: bool = False,
    force: str = "",
    say: Say = silent,
) -> Decision:
    """Move `champion` to a version if every gate lets it pass.

    Args:
        name: Name of the registered model.
        version: Its version or an alias of it.
        params: The gates.
        evaluate: How intervals are drawn.
        test: The test table that the version was evaluated on; only needed to compare it with a
            champion.
        labels: What people's labels say, by version; looked at where the parameters ask for it.
        dry_run: Only look.
        force: Why it shall be promoted whatever the gates say. Written down. What a worker would
            refuse is not promoted by force either.
        say: Told what is being done.

    Raises:
        InputError: It is the champion already, or the test table is missing or another one.
        ModelNotFoundError: There is no such version.
        RegistryUnavailableError: The registry doesn't answer.
        ModelError: Somebody else moved the champion meanwhile.
    """
    with connect(TIMEOUT_S) as client:
        challenger = resolve(client, name, version)
        champion = audit.champion(client, name)
    if challenger == champion:
        raise InputError(f"Version {challenger} of {name} is {ALIAS} already.")
    with tempfile.TemporaryDirectory(prefix="sentiment-promote-") as folder:
        checks = judge(name, challenger, champion, params, evaluate, test, Path(folder), say)
    if params.min_feedback_accuracy is not None:
        found = (labels or {}).get(challenger)
        checks.append(gates.feedback(found, params.min_feedback_accuracy, params))
    passed = all(check.passed for check in checks)
    servable = checks[0].passed
    decision = Decision(
        name,
        challenger,
        champion,
        checks,
        promoted=not dry_run and servable and (passed or bool(force)),
        forced="" if passed or not servable else force,
        dry_run=dry_run,
    )
    if not dry_run:
        _carry_out(decision)
    return decision


def _carry_out(decision: Decision) -> None:
    name, challenger = decision.name, decision.challenger
    failed = "; ".join(decision.reasons)
    with connect(TIMEOUT_S) as client:
        if not decision.promoted:
            audit.decided(client, name, challenger, f"refused: {failed}")
            return
        action: audit.Action = "force" if decision.forced else "promote"
        audit.move(client, name, decision.champion, challenger, action, reason=decision.forced)
        if decision.forced:
            told = f"forced: {decision.forced} (refused: {failed})"
        else:
            told = "promoted: " + "; ".join(f"{c.gate}: {c.reason}" for c in decision.checks)
        audit.decided(client, name, challenger, told)


# The rollback stage: `champion` goes back to the version that was champion before.


class Rollback(Struct, frozen=True):
    """What was done."""

    name: str
    version: str
    replaced: str


def rollback(name: str = NAME, to: str | None = None, say: Say = silent) -> Rollback:
    """Put `champion` back to the version before, by the audit trail.

    The trail works as a stack: rolling back twice goes back two promotions. A version that was
    rolled back becomes champion again by `to`, or by another promotion.

    Args:
        name: Name of the registered model.
        to: A version that was champion once; None: the one before the current.
        say: Told what is being done.

    Raises:
        ModelNotFoundError: There is no champion, or none before it that is still there.
        InputError: `to` was never champion, or is it now.
        ModelRefusedError: A worker would refuse the version; the alias stays.
        RegistryUnavailableError: The registry doesn't answer.
        ModelError: Somebody else moved the champion meanwhile.
    """
    there = {version.version: version for version in models(name, TIMEOUT_S)}
    with connect(TIMEOUT_S) as client:
        current = audit.champion(client, name)
        moves = audit.history(client, name)
    if current is None:
        raise ModelNotFoundError(
            f"{name} has no {ALIAS}, so there is nothing to go back from.",
            "`sentiment promote` makes one.",
        )
    if to is None:
        target = next(
            (version for version in audit.earlier(moves, current) if version in there), ""
        )
        if not target:
            raise ModelNotFoundError(
                f"No {ALIAS} of {name} before version {current} is on record.",
                "`sentiment models` lists the versions; `sentiment promote --version N` takes one.",
            )
    else:
        been = {version for move in moves for version in (move.origin, move.target)}
        been |= {version for version, about in there.items() if about.promoted_at}
        if to == current:
            raise InputError(f"Version {to} of {name} is {ALIAS} already.")
        if to not in there or to not in been:
            raise InputError(
                f"Version {to} of {name} was never {ALIAS}, so there is no way back to it.",
                f"`sentiment promote --version {to}` takes it through the gates.",
            )
        target = to
    say(f"Checking version {target} …")
    with tempfile.TemporaryDirectory(prefix="sentiment-rollback-") as folder:
        fetch(name, target, Path(folder))
    with connect(TIMEOUT_S) as client:
        audit.move(client, name, current, target, "rollback")
    return Rollback(name, target, current)


# What the gates say of a challenger: it and the champion answer the same texts. Where a version
# carries its evaluation on the very test table that is given, the stored scores are compared:
# they come from a model that had not seen these texts, while a released model was fitted on all
# of them. Otherwise the champion is loaded and scores the table; it may have seen some of the
# texts, which favours the champion. The challenger is never judged in this way. Behaviours, the
# compiled form, size and speed are those of the released models themselves.


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
        checks.append(_compiled(challenger, challenger.report, test, params))
    return [*checks, gates.size(challenger.file.path.stat().st_size, params)]


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


def _compiled(model: Fetched, report: Report, test: pd.DataFrame | None, params: Promote) -> Check:
    """How far the answers are from scikit-learn's, on made sentences and on texts of the test."""
    if not model.file.format.compiles:
        flavour = model.file.format.flavour
        return gates.skip("compiled", f"models of the format {flavour!r} have no compiled form")
    now = None
    if model.scorer.kind == "compiled":
        texts = [t for kind in behaviours.cases().values() for case in kind for t in case.texts]
        if test is not None:
            texts += sample(test["text"].tolist())
        by_itself = model.file.open()
        now = float(np.abs(model.scorer.score(texts) - by_itself.score(texts)).max())
    return gates.compiled(report.compiled_difference, report.not_compiled, now, params)
