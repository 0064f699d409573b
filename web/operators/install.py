"""Puts the operators' page into the app, where it is configured."""

from datetime import UTC, datetime

from flask import Blueprint, Flask, Response
from werkzeug.exceptions import HTTPException

from sentiment.errors import SentimentError
from sentiment.settings import Settings
from web.operators import answers, login, redrives, sessions
from web.operators.dead_letters import letters
from web.operators.guesses import Guesses
from web.operators.models import models
from web.operators.redrives import BusyError, Redrives
from web.operators.runs import runs


def install(app: Flask, settings: Settings) -> None:
    """Add the page to an app; without a token or a proxy, nothing: its paths are 404 then.

    Args:
        app: The app; its sessions become the operators'.
        settings: The whole tree.
    """
    if not settings.operators.enabled:
        return
    sessions.install(app, settings.operators)
    app.extensions[login.GUESSES] = Guesses()
    Redrives(settings).attach(app)
    operators = Blueprint("operators", __name__, url_prefix=sessions.PATH)
    for part in (login.login, letters, runs, models):
        operators.register_blueprint(part)
    operators.before_request(login.guard)
    operators.after_request(_private)
    operators.context_processor(lambda: {"form_token": sessions.form_token})
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
