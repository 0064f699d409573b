"""What the registry tells of a model's versions."""

from typing import TYPE_CHECKING

from msgspec import Struct

from sentiment.errors import InputError
from sentiment.tracking import connect

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

# A registry answers with pages of at most this many versions.
_PAGE = 100


class Version(Struct, frozen=True):
    """What the registry tells of a version; None where it doesn't know."""

    version: str
    aliases: list[str]
    # In seconds since 1970.
    created_at: float
    accuracy: float | None
    macro_accuracy: float | None
    train_sha256: str | None
    code_version: str | None
    decision: str | None
    promoted_at: str | None
    rolled_back_at: str | None


def models(name: str, timeout_s: float) -> list[Version]:
    """All versions of a model, newest first.

    Args:
        name: Name of the registered model.
        timeout_s: How long one call may take, in seconds.

    Raises:
        ModelNotFoundError: There is no model of that name.
        RegistryUnavailableError: The registry doesn't answer.
        InputError: It can't be a model's name.
    """
    if "'" in name:
        raise InputError(f"{name!r} can't be a model's name.")
    found: list[ModelVersion] = []
    with connect(timeout_s) as client:
        aliases = client.get_registered_model(name).aliases
        token: str | None = None
        while True:
            page = client.search_model_versions(f"name = '{name}'", _PAGE, page_token=token)
            found += page
            token = page.token
            if not token:
                break
    # The model has them all; older servers leave them out of a list of versions.
    described = [
        _described(version, sorted(a for a, v in aliases.items() if str(v) == str(version.version)))
        for version in found
    ]
    return sorted(described, key=lambda version: int(version.version), reverse=True)


def _described(version: "ModelVersion", aliases: list[str]) -> Version:
    tags = {key.removeprefix("sentiment."): value for key, value in version.tags.items()}
    return Version(
        version=str(version.version),
        aliases=aliases,
        created_at=version.creation_timestamp / 1000,
        accuracy=_number(tags.get("accuracy")),
        macro_accuracy=_number(tags.get("macro_accuracy")),
        # `data_sha256`: of models from before the stages.
        train_sha256=tags.get("train_sha256") or tags.get("data_sha256"),
        code_version=tags.get("code_version"),
        decision=tags.get("decision"),
        promoted_at=tags.get("promoted_at"),
        rolled_back_at=tags.get("rolled_back_at"),
    )


def _number(written: str | None) -> float | None:
    try:
        return None if written is None else float(written)
    except ValueError:
        return None
