"""The audit trail of `champion`: who moved it, when and why, in tags of the registry.

The registered model carries the last moves as one tag, `sentiment.history`, a JSON list that
`rollback` reads. Each version carries what was decided about it:

| tag of a version | meaning |
|---|---|
| `sentiment.decision` | `promoted`, `forced` or `refused`, and what the gates said |
| `sentiment.decided_at`, `sentiment.decided_by` | when, in UTC, and by whom |
| `sentiment.promoted_at`, `sentiment.promoted_by`, `sentiment.promoted_from` | the last time it \
became champion, and the version before it |
| `sentiment.rolled_back_at`, `sentiment.rolled_back_by` | when it was taken back |

MLflow moves an alias without looking at where it was. So we look right before, and once more right
after. What is left is the time of one call: of two people who promote within it, one is told that
the other was there too, but an entry of the history may be lost. The versions' own tags stay.
"""

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from sentiment.errors import ModelError
from sentiment.registry.publish import ALIAS, MAX_TAG
from trainer import layout

if TYPE_CHECKING:
    from mlflow import MlflowClient

HISTORY_TAG = "sentiment.history"
# Months of promotions; more moves than anybody goes back by.
KEPT_MOVES = 20
# Of a reason in the history, so that 20 moves fit into a tag; versions keep the whole.
_REASON = 80

Action = Literal["promote", "force", "rollback", "register"]


class Move(Struct, frozen=True, rename={"origin": "from", "target": "to"}):
    """A move of the alias."""

    at: Annotated[str, Meta(description="UTC, ISO 8601.")]
    action: Action
    # A version; None: there was no champion.
    origin: str | None
    target: str
    by: str
    reason: str = ""


def champion(client: "MlflowClient", name: str) -> str | None:
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

    Args:
        client: Of `sentiment.registry.tracking.connect`.
        name: Name of the registered model.
        expected: The version that the decision was made against; None: no champion.
        target: The version that becomes champion.
        action: What this move is.
        reason: Why, for people.

    Raises:
        ModelError: Somebody else moved it meanwhile.
    """
    found = champion(client, name)
    if found != expected:
        raise ModelError(
            f"{name}@{ALIAS} moved from {_named(expected)} to {_named(found)} meanwhile, so nothing"
            " was changed.",
            "Run the command again, so that the decision is made against what is there now.",
        )
    client.set_registered_model_alias(name, ALIAS, target)
    written = Move(_now(), action, expected, target, who(), reason)
    if action == "rollback":
        # `expected` is a version: without a champion there is nothing to roll back.
        note(client, name, str(expected), rolled_back_at=written.at, rolled_back_by=written.by)
    else:
        note(
            client,
            name,
            target,
            promoted_at=written.at,
            promoted_by=written.by,
            promoted_from=expected or "",
        )
    _remember(client, name, written)
    found = champion(client, name)
    if found != target:
        raise ModelError(
            f"{name}@{ALIAS} was set to {_named(target)}, but somebody else set it to"
            f" {_named(found)} at the same moment.",
            "Agree on one; `sentiment models` shows where it is.",
        )


def decided(client: "MlflowClient", name: str, version: str, decision: str) -> None:
    """Write down at a version what was decided about it, and the reasons."""
    note(client, name, version, decision=decision, decided_at=_now(), decided_by=who())


def note(client: "MlflowClient", name: str, version: str, **tags: str) -> None:
    """Set tags of a version; each key gets `sentiment.` before it, long values are cut."""
    for key, value in tags.items():
        client.set_model_version_tag(name, version, f"sentiment.{key}", value[:MAX_TAG])


def who() -> str:
    """Git's name of the user, else that of the login.

    Never a name from the registry's settings: there, a token may stand for the user.
    """
    try:
        return layout.ask("config", "user.name") or getpass.getuser()
    except (OSError, KeyError):
        # A container's user needs no name.
        return "unknown"


def _remember(client: "MlflowClient", name: str, written: Move) -> None:
    short = msgspec.structs.replace(
        written, by=written.by[:_REASON], reason=written.reason[:_REASON]
    )
    moves = [*history(client, name), short][-KEPT_MOVES:]
    while len(tag := msgspec.json.encode(moves).decode()) > MAX_TAG:
        del moves[0]
    client.set_registered_model_tag(name, HISTORY_TAG, tag)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _named(version: str | None) -> str:
    return "no version" if version is None else f"version {version}"
