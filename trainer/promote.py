"""The promote stage: `champion` moves to a challenger that passes every gate, or stays."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from msgspec import Struct

from sentiment.errors import InputError
from sentiment.feedback import Accuracy
from sentiment.publish import ALIAS, NAME, TIMEOUT_S
from sentiment.tracking import connect
from trainer.params import Evaluate, Promote
from trainer.progress import Say, silent
from trainer.promotion import audit, gates
from trainer.promotion.challenge import judge
from trainer.promotion.gates import Check
from trainer.promotion.versions import resolve
from trainer.register import CHALLENGER


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
