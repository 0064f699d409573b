"""Puts the operators' page into the app, where it is configured."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from sentiment.errors import ModelNotFoundError, SentimentError
from sentiment.registry import tracking
from sentiment.registry.tracking import Version
from sentiment.settings import Settings
from web import services
from web.operators import answers, login, redrives
from web.operators.answers import answer, problem
from web.operators.listing import letters
from web.operators.login import Guesses
from web.operators.redrives import BusyError, Redrives
from web.operators.runs import runs
from web.settings import OperatorsSettings


def install(app: Flask, settings: Settings) -> None:
    """Add the page to an app; without a token or a proxy, nothing: its paths are 404 then.

    Args:
        app: The app; its sessions become the operators'.
        settings: The whole tree.
    """
    if not settings.of(OperatorsSettings).enabled:
        return
    login.install(app, settings.of(OperatorsSettings))
    app.extensions[login.GUESSES] = Guesses()
    Redrives(settings).attach(app)
    operators = Blueprint("operators", __name__, url_prefix=login.PATH)
    for part in (login.login, letters, runs, models):
        operators.register_blueprint(part)
    operators.before_request(login.guard)
    operators.after_request(_private)
    operators.context_processor(lambda: {"form_token": login.form_token})
    operators.register_error_handler(SentimentError, answers.failed)
    operators.register_error_handler(HTTPException, answers.refused)
    operators.register_error_handler(BusyError, _busy)
    operators.add_app_template_filter(_day, "day")
    # The front page may link here.
    app.jinja_env.globals["operators"] = True
    app.register_blueprint(operators)


def _private(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _busy(_: BusyError) -> Response:
    running = redrives.current().running()
    by = f", begun by {running.who}" if running else ""
    return answers.problem(
        409, f"A redrive is running already{by}.", "Wait for its end; then begin this one again."
    )


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


# The models in the registry, with their figures; promoting one stays a command.


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
        found = tracking.models(name, min(PATIENCE_S, settings.registry_timeout_s))
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
