"""The models in the registry, with their figures; promoting one stays a command."""

import re
from typing import Any

import msgspec
from flask import Blueprint
from flask.typing import ResponseReturnValue

from sentiment import versions
from sentiment.errors import ModelNotFoundError
from sentiment.versions import Version
from web import services
from web.operators.answers import answer, problem

models = Blueprint("models", __name__)

# What a person compares; the registry's own page and `sentiment models` have all.
LATEST = 20
# A person waits no longer for a page.
PATIENCE_S = 6.0
# Of an address such as models:/sentiment@champion.
NAME = re.compile(r"models:/([^/@]+)")


@models.get("/models")
def listed() -> ResponseReturnValue:
    """Champion, challenger and the latest versions."""
    settings = services.current().settings.model
    match = NAME.match(settings.uri)
    name = match[1] if match else ""
    try:
        found = versions.models(name, min(PATIENCE_S, settings.registry_timeout_s))
    except ModelNotFoundError:
        found = []
    except ModuleNotFoundError as error:
        return problem(
            501,
            f"The registry's client can't be loaded here: the package {error.name!r} is missing.",
            "Install the page with its operators' extra, `sentiment-stream[web,operators]`;"
            " `sentiment models` shows the same where that is installed.",
        )
    serving = {
        alias: next((_shown(version) for version in found if alias in version.aliases), None)
        for alias in ("champion", "challenger")
    }
    document = {"name": name, **serving, "versions": [_shown(v) for v in found[:LATEST]]}
    return answer("models.html", document, more=max(0, len(found) - LATEST))


def _shown(version: Version) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(version)
    return shown
