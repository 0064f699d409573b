"""The promote and rollback stages: `champion` moves to a challenger, or back, and the audit trail.

The registered model carries the last moves as one tag, `sentiment.history`, a JSON list that
`rollback` reads. Each version carries what was decided about it:

| tag of a version | meaning |
|---|---|
| `sentiment.decision` | `promoted`, `forced` or `refused`, and what the gates said |
| `sentiment.decided_at`, `sentiment.decided_by` | when, in UTC, and by whom |
| `sentiment.promoted_at`, `sentiment.promoted_by`, `sentiment.promoted_from` | the last time it \
became champion, and the version before it |
| `sentiment.rolled_back_at`, `sentiment.rolled_back_by` | when it was taken back |

MLflow moves an alias without checking where it was. So we check right before and right after. Two
people can still promote within the time of one call: one of them gets an error that names the
other's version, but an entry of the history may be lost. The versions' own tags stay.
"""

import getpass
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import pandas as pd
from msgspec import Meta, Struct

from sentiment.errors import InputError, ModelError, ModelNotFoundError
from sentiment.registry.publish import ALIAS, MAX_TAG, NAME, TIMEOUT_S
from sentiment.registry.tracking import connect, models
from trainer import gates, tables
from trainer.gates import Check
from trainer.params import Evaluate, Promote
from trainer.reports import Say, silent

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from sentiment.feedback import Accuracy

# The alias of what waits for its promotion.
CHALLENGER = "challenger"
HISTORY_TAG = "sentiment.history"
# Months of promotions; more moves than anybody goes back by.
KEPT_MOVES = 20
# Of a reason in the history, so that 20 moves fit into a tag; versions keep the whole.
_REASON = 80

Action = Literal["promote", "force", "rollback", "register"]


class Decision(Struct, frozen=True):
    """What became of a challenger; `champion` is the version it was compared with, if any."""

    name: str
    challenger: str
    champion: str | None
    checks: list[Check]
    # The alias was moved.
    promoted: bool
    # The reason for moving it although a gate said no; empty where none was needed.
    forced: str = ""
    # Nothing was changed, whatever the gates said.
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
    labels: Mapping[str, "Accuracy"] | None = None,
    dry_run: bool = False,
    force: str = "",
    say: Say = silent,
) -> Decision:
    """Move `champion` to a version, or to that of an alias, if every gate lets it pass.

    `test` is the table that the version was evaluated on, needed where there is a champion;
    `labels` the accuracy by people's labels, by version, used where `params` has a limit for it;
    `force` why it shall be promoted whatever the gates say, but not what a worker refuses.

    Raises:
        InputError: It is the champion already, or the test table is missing or another one.
        ModelNotFoundError: There is no such version.
        RegistryUnavailableError: The registry doesn't answer.
        ModelError: Somebody else moved the champion meanwhile.
    """
    with connect(TIMEOUT_S) as client:
        found = (
            client.get_model_version(name, version)
            if version.isdecimal()
            else client.get_model_version_by_alias(name, version)
        )
        challenger = str(found.version)
        champion = champion_of(client, name)
    if challenger == champion:
        raise InputError(f"Version {challenger} of {name} is {ALIAS} already.")
    with tempfile.TemporaryDirectory(prefix="sentiment-promote-") as folder:
        checks = gates.judge(name, challenger, champion, params, evaluate, test, Path(folder), say)
    if params.min_feedback_accuracy is not None:
        labelled = (labels or {}).get(challenger)
        checks.append(gates.feedback(labelled, params.min_feedback_accuracy, params))
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
    if dry_run:
        return decision
    failed = "; ".join(decision.reasons)
    written = f"refused: {failed}"
    with connect(TIMEOUT_S) as client:
        if decision.promoted:
            action: Action = "force" if decision.forced else "promote"
            move(client, name, champion, challenger, action, reason=decision.forced)
            written = (
                f"forced: {decision.forced} ({written})"
                if decision.forced
                else "promoted: " + "; ".join(f"{c.gate}: {c.reason}" for c in checks)
            )
        note(client, name, challenger, decision=written, decided_at=_now(), decided_by=who())
    return decision


class Rollback(Struct, frozen=True):
    """What was done."""

    name: str
    version: str
    replaced: str


def rollback(name: str = NAME, to: str | None = None, say: Say = silent) -> Rollback:
    """Put `champion` back to the version before, by the audit trail.

    The trail works as a stack: rolling back twice goes back two promotions. A version that was
    rolled back becomes champion again by `to`, or by another promotion.

    Raises:
        ModelNotFoundError: There is no champion, or none before it that is still there.
        InputError: `to` was never champion, or is it now.
        ModelRefusedError: A worker would refuse the version; the alias stays.
        RegistryUnavailableError: The registry doesn't answer.
        ModelError: Somebody else moved the champion meanwhile.
    """
    there = {version.version: version for version in models(name, TIMEOUT_S)}
    with connect(TIMEOUT_S) as client:
        current = champion_of(client, name)
        moves = history(client, name)
    if current is None:
        raise ModelNotFoundError(
            f"{name} has no {ALIAS}, so there is nothing to go back from.",
            "`sentiment promote` makes one.",
        )
    if to is None:
        target = next((version for version in earlier(moves, current) if version in there), "")
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
        gates.fetch(name, target, Path(folder))
    with connect(TIMEOUT_S) as client:
        move(client, name, current, target, "rollback")
    return Rollback(name, target, current)


# The audit trail of `champion`: who moved it, when and why, in tags of the registry.


class Move(Struct, frozen=True, rename={"origin": "from", "target": "to"}):
    """A move of the alias."""

    at: Annotated[str, Meta(description="UTC, ISO 8601.")]
    action: Action
    # A version; None: there was no champion.
    origin: str | None
    target: str
    by: str
    reason: str = ""


def champion_of(client: "MlflowClient", name: str) -> str | None:
    """The version that is champion; None if none is."""
    aliases = client.get_registered_model(name).aliases
    version = aliases.get(ALIAS)
    return None if version is None else str(version)


def history(client: "MlflowClient", name: str) -> list[Move]:
    """The last moves, oldest first. A tag that somebody broke is an empty history."""
    written = client.get_registered_model(name).tags.get(HISTORY_TAG, "[]")
    try:
        return msgspec.json.decode(written, type=list[Move])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return []


def earlier(moves: Sequence[Move], current: str) -> list[str]:
    """The champions before the current one, last first; what `rollback` goes through.

    A stack: each promotion puts a version on it, each rollback takes versions off. So rolling back
    twice goes back two promotions, and a version that was rolled back is not gone back to. A move
    that went past the trail (in MLflow's own page, say) is a promotion as well.
    """
    stack: list[str] = []

    def put(version: str | None) -> None:
        if version is not None and stack[-1:] != [version]:
            stack.append(version)

    for move in moves:
        put(move.origin)
        if move.action == "rollback" and move.target in stack:
            last = len(stack) - 1 - stack[::-1].index(move.target)
            del stack[last + 1 :]
        else:
            put(move.target)
    put(current)
    return stack[-2::-1]


def move(  # noqa: PLR0913 - a move is all of these
    client: "MlflowClient",
    name: str,
    expected: str | None,
    target: str,
    action: Action,
    *,
    reason: str = "",
) -> None:
    """Move the alias, and write down that it was moved.

    The decision was made against the version `expected`; None: against no champion.

    Raises:
        ModelError: Somebody else moved it meanwhile.
    """
    found = champion_of(client, name)
    if found != expected:
        raise ModelError(
            f"{name}@{ALIAS} moved from {_named(expected)} to {_named(found)} meanwhile, so nothing"
            " was changed.",
            "Run the command again, so that the decision is made against what is there now.",
        )
    client.set_registered_model_alias(name, ALIAS, target)
    written = Move(_now(), action, expected, target, who(), reason)
    by = written.by
    if action == "rollback":
        # `expected` is a version: without a champion there is nothing to roll back.
        note(client, name, str(expected), rolled_back_at=written.at, rolled_back_by=by)
    else:
        before = expected or ""
        note(client, name, target, promoted_at=written.at, promoted_by=by, promoted_from=before)
    short = msgspec.structs.replace(written, by=by[:_REASON], reason=reason[:_REASON])
    moves = [*history(client, name), short][-KEPT_MOVES:]
    while len(tag := msgspec.json.encode(moves).decode()) > MAX_TAG:
        del moves[0]
    client.set_registered_model_tag(name, HISTORY_TAG, tag)
    found = champion_of(client, name)
    if found != target:
        raise ModelError(
            f"{name}@{ALIAS} was set to {_named(target)}, but somebody else set it to"
            f" {_named(found)} at the same moment.",
            "Agree on one; `sentiment models` shows where it is.",
        )


def note(client: "MlflowClient", name: str, version: str, **tags: str) -> None:
    """Set tags of a version; each key gets `sentiment.` before it, long values are cut."""
    for key, value in tags.items():
        client.set_model_version_tag(name, version, f"sentiment.{key}", value[:MAX_TAG])


def who() -> str:
    """Git's name of the user, else that of the login.

    Never a name from the registry's settings: there, a token may stand for the user.
    """
    try:
        return tables.git("config", "user.name") or getpass.getuser()
    except (OSError, KeyError):
        # A container's user needs no name.
        return "unknown"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _named(version: str | None) -> str:
    return "no version" if version is None else f"version {version}"
