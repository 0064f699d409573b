"""Who is asking: somebody with the token, or whom a proxy that logs people in vouches for.

A header with a name is no login by itself, since anybody can send one. It counts only beside the
secret that the proxy alone knows and adds to each request.
"""

import time
from dataclasses import dataclass
from typing import Literal, cast

from flask import Blueprint, current_app, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from sentiment import logs
from sentiment.dlq.describing import safe
from sentiment.settings import OperatorsSettings
from web import services
from web.operators import sessions
from web.operators.answers import problem, rendered
from web.operators.guesses import RETRY_AFTER_S, Guesses, TooManyGuessesError

login = Blueprint("login", __name__)

log = logs.get(__name__)

# Those who have the token share one name.
TOKEN_NAME = "token"  # noqa: S105 - a name, no secret
# Longer than any name that a proxy gives; the log stays readable.
MAX_NAME = 200
OPEN = {"operators.login.ask", "operators.login.enter"}
BEARER = "Bearer "
GUESSES = "operators.guesses"


@dataclass(frozen=True)
class Operator:
    """Somebody who may be here.

    Attributes:
        name: Of the proxy's user; `token` for whoever has that.
        by: How we know: a cookie of ours, the token itself, or the proxy.
    """

    name: str
    by: Literal["session", "bearer", "proxy"]


def guard() -> ResponseReturnValue | None:
    """Let nobody else in; runs before each request of the page."""
    try:
        g.operator = _bearer() or _proxied() or _in_session()
    except TooManyGuessesError:
        return _too_many()
    if request.headers.get("Authorization", "").startswith(BEARER) and g.operator is None:
        return problem(401, "This is not the token.")
    # A program's token comes with its request; a cookie comes with anybody's.
    by_program = g.operator is not None and g.operator.by == "bearer"
    form = request.method == "POST" and not by_program
    if form and not sessions.ours(request.form.get(sessions.FIELD)):
        return problem(
            400,
            "This form is too old, or it is not from this page: nothing was done.",
            "Go back, load the page again, and send it once more.",
        )
    if g.operator is not None or request.endpoint in OPEN:
        return None
    if not _settings().token.get_secret_value():
        return problem(403, "Come through the proxy that logs operators in.")
    wish = request.full_path if request.method == "GET" else ""
    return redirect(url_for("operators.login.ask", next=wish.rstrip("?") or None), 303)


@login.get("/login")
def ask() -> ResponseReturnValue:
    """The form."""
    if g.operator is not None or not _settings().token.get_secret_value():
        return redirect(_wished(), 303)
    return rendered("login.html", wish=request.args.get("next", ""))


@login.post("/login")
def enter() -> ResponseReturnValue:
    """Begin a session of somebody who has the token."""
    settings, address = _settings(), _address()
    try:
        right = _guesses().right(
            request.form.get("token", ""), settings.token.get_secret_value(), address
        )
    except TooManyGuessesError:
        return _too_many()
    if not right:
        log.warning("operator login", outcome="failed", by="token", address=address)
        wish = request.form.get("next", "")
        return rendered("login.html", 403, wish=wish, wrong=True)
    session.clear()
    session.permanent = True
    session["operator"] = TOKEN_NAME
    # Flask counts from the cookie's last change; a session ends when it has to.
    session["until"] = time.time() + sessions.LIFETIME_S
    log.info("operator login", outcome="ok", by="token", operator=TOKEN_NAME, address=address)
    return redirect(_wished(), 303)


@login.post("/logout")
def leave() -> ResponseReturnValue:
    """End the session."""
    session.clear()
    log.info("operator logout", operator=g.operator.name, address=_address())
    return redirect(url_for("operators.login.ask"), 303)


def _bearer() -> Operator | None:
    given = request.headers.get("Authorization", "")
    if not given.startswith(BEARER):
        return None
    token = _settings().token.get_secret_value()
    if _guesses().right(given.removeprefix(BEARER), token, _address()):
        return Operator(TOKEN_NAME, "bearer")
    log.warning("operator login", outcome="failed", by="bearer", address=_address())
    return None


def _proxied() -> Operator | None:
    settings = _settings()
    given = request.headers.get(settings.proxy_secret_header)
    name = safe(request.headers.get(settings.user_header or "-", ""), MAX_NAME)
    if not settings.user_header or given is None or not name:
        return None
    if not _guesses().right(given, settings.proxy_secret.get_secret_value(), _address()):
        log.warning("operator login", outcome="failed", by="proxy", address=_address())
        return None
    if session.get("proxied") != name:
        # The proxy vouches for each request; its user has come once.
        session["proxied"] = name
        log.info("operator login", outcome="ok", by="proxy", operator=name, address=_address())
    return Operator(name, "proxy")


def _in_session() -> Operator | None:
    # A session that was begun by the proxy's word holds no longer than that word.
    if session.get("operator") == TOKEN_NAME and session.get("until", 0) > time.time():
        return Operator(TOKEN_NAME, "session")
    return None


def _wished() -> str:
    """Where somebody wanted to go before the login: a page of ours, and nowhere else."""
    wish = request.values.get("next", "")
    # Whatever follows, what begins so stays on this host.
    return wish if wish.startswith(f"{sessions.PATH}/") else url_for("operators.letters.latest")


def _too_many() -> ResponseReturnValue:
    log.warning("operator login", outcome="refused: too many tries", address=_address())
    answer = problem(429, "Too many wrong tries from this address.", "Wait a minute, then go on.")
    answer.headers["Retry-After"] = str(RETRY_AFTER_S)
    return answer


def _address() -> str:
    return request.remote_addr or "unknown"


def _settings() -> OperatorsSettings:
    return services.current().settings.operators


def _guesses() -> Guesses:
    return cast("Guesses", current_app.extensions[GUESSES])
