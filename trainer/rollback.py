"""The rollback stage: `champion` goes back to the version that was champion before."""

import tempfile
from pathlib import Path

from msgspec import Struct

from sentiment.errors import InputError, ModelNotFoundError
from sentiment.publish import ALIAS, NAME, TIMEOUT_S
from sentiment.tracking import connect
from sentiment.versions import models
from trainer.progress import Say, silent
from trainer.promotion import audit
from trainer.promotion.versions import fetch


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
