"""Who is asking: somebody with the token, or whom a proxy that logs people in vouches for.

Anybody can send a header with a name: it counts only beside the secret that the proxy alone knows.
The operators' cookie is signed with a key made of the secrets: each replica makes the same, and a
new token or proxy's secret ends every session. It goes to the operators' page alone: the API never
sees one. Who signs out ends the session for every copy of its cookie: each process remembers those
it ended until their time. Replicas share nothing, so another one, or this one after a restart,
takes a copy until then; a new token ends all of them everywhere.
"""

import hashlib
import hmac
import secrets
import threading
import time
from datetime import timedelta
from typing import Literal, NamedTuple, cast

from flask import Flask, current_app, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSessionInterface
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf, validate_csrf
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from wtforms import ValidationError

from sentiment import logs
from sentiment.dead_letters.show import safe
from web import services
from web.operators.pages import PATH, operators, problem, rendered
from web.settings import OperatorsSettings

# A person mistypes a few times; a program that guesses gets nowhere.
TRIES = parse("5/minute")
# When the next try may succeed, at the latest; in seconds.
RETRY_AFTER_S = 60
TOKEN_NAME = "token"  # noqa: S105 - a name, no secret
# Longer than any name that a proxy gives; the log stays readable.
MAX_NAME = 200
# A form with a token, a secret and a path.
MAX_LOGIN_BYTES = 16_384
OPEN = {"operators.ask", "operators.enter"}
BEARER = "Bearer "
# A working day: whoever logged in in the morning need not do so again.
LIFETIME_S = 8 * 60 * 60
FIELD = "csrf_token"
_KEY = "operators.logins"

log = logs.get(__name__)


class Operator(NamedTuple):
    """Somebody who may be here, and how we know: a cookie of ours, the token, or the proxy."""

    name: str
    by: Literal["session", "bearer", "proxy"]


class TooManyGuessesError(Exception):
    """The address was wrong too often just now."""


class _Logins:
    """What a process remembers: wrong guesses by address, and sessions that were signed out of."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()
        # No more of them than logins with the right token.
        self._ended: dict[str, float] = {}

    def right(self, given: str, secret: str, address: str) -> bool:
        """Whether a secret is the right one (an empty one never is), told in always the same time.

        An address that was wrong too often gets a `TooManyGuessesError`, even for the right one.
        """
        # One at a time, so that many guesses at once are no more than the same one by one.
        with self._lock:
            if not self._limiter.test(TRIES, address):
                raise TooManyGuessesError
            # As bytes: for text, only ASCII can be compared.
            right = bool(secret) and hmac.compare_digest(
                given.encode(errors="surrogatepass"), secret.encode()
            )
            if not right:
                self._limiter.hit(TRIES, address)
            return right

    def end(self, name: str, until: float) -> None:
        """Remember that a session was signed out of, until it would have ended by itself."""
        with self._lock:
            now = time.time()
            self._ended = {name: end for name, end in self._ended.items() if end > now}
            self._ended[name] = until

    def has_ended(self, name: str) -> bool:
        with self._lock:
            return name in self._ended


class _Cookie(SecureCookieSessionInterface):
    """Flask's own signed cookie, which is marked Secure where the request came by https."""

    digest_method = staticmethod(hashlib.sha256)

    def get_cookie_secure(self, app: Flask) -> bool:
        return super().get_cookie_secure(app) or request.is_secure


def install(app: Flask, settings: OperatorsSettings) -> None:
    """Give an app the operators' sessions."""
    token, proxy = settings.token.get_secret_value(), settings.proxy_secret.get_secret_value()
    # Slow on purpose (50 ms, once): from a cookie that was seen, nobody tries out tokens quickly.
    # The length keeps two secrets from being mistaken for two others.
    app.secret_key = hashlib.scrypt(
        f"{len(token)}:{token}{proxy}".encode(), salt=b"sentiment operators' sessions", n=2**14,
        r=8, p=1, dklen=32,
    )  # fmt: skip
    app.session_interface = _Cookie()
    app.extensions[_KEY] = _Logins()
    app.config.update(
        SESSION_COOKIE_NAME="sentiment-operator",
        SESSION_COOKIE_PATH=PATH,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=settings.https,
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=LIFETIME_S),
    )


@operators.before_request
def guard() -> ResponseReturnValue | None:
    """Let nobody else in; runs before each request of the page."""
    g.operator = _bearer() or _proxied() or _in_session()
    if request.headers.get("Authorization", "").startswith(BEARER) and g.operator is None:
        return problem(401, "This is not the token.")
    if g.operator is None:
        # Nobody who isn't known yet has more to send than a login.
        request.max_content_length = MAX_LOGIN_BYTES
    # A program's token comes with its request; a cookie comes with anybody's.
    by_program = g.operator is not None and g.operator.by == "bearer"
    if request.method == "POST" and not by_program and not _is_ours(request.form.get(FIELD)):
        return problem(
            400,
            "This form is too old, or it is not from this page: nothing was done.",
            "Go back, load the page again, and send it once more.",
        )
    if g.operator is not None or request.endpoint in OPEN:
        return None
    if not _token():
        return problem(403, "Come through the proxy that logs operators in.")
    wish = request.full_path if request.method == "GET" else ""
    return redirect(url_for("operators.ask", next=wish.rstrip("?") or None), 303)


def _bearer() -> Operator | None:
    given = request.headers.get("Authorization", "")
    right = given.startswith(BEARER) and _right(given.removeprefix(BEARER), _token(), "bearer")
    return Operator(TOKEN_NAME, "bearer") if right else None


def _proxied() -> Operator | None:
    settings = services.current().settings.of(OperatorsSettings)
    given = request.headers.get(settings.proxy_secret_header)
    name = safe(request.headers.get(settings.user_header or "-", ""), MAX_NAME)
    if not settings.user_header or given is None or not name:
        return None
    if not _right(given, settings.proxy_secret.get_secret_value(), "proxy"):
        return None
    if session.get("proxied") != name:
        # The proxy vouches for each request; its user has come once.
        session["proxied"] = name
        log.info("operator login", outcome="ok", by="proxy", operator=name, address=_address())
    return Operator(name, "proxy")


def _in_session() -> Operator | None:
    # A session that was begun by the proxy's word holds no longer than that word.
    holds = (
        session.get("operator") == TOKEN_NAME
        and session.get("until", 0) > time.time()
        and "name" in session
        and not _logins().has_ended(session["name"])
    )
    return Operator(TOKEN_NAME, "session") if holds else None


def _is_ours(sent: str | None) -> bool:
    try:
        validate_csrf(sent, time_limit=LIFETIME_S, token_key=FIELD)
    except ValidationError:
        return False
    return True


@operators.app_template_global()
def form_token() -> str:
    """What a form has to send back, so that it can only be ours."""
    token: str = generate_csrf(token_key=FIELD)
    return token


@operators.get("/login")
def ask() -> ResponseReturnValue:
    """The form."""
    if g.operator is not None or not _token():
        return redirect(_wished(), 303)
    return rendered("login.html", wish=request.args.get("next", ""))


@operators.post("/login")
def enter() -> ResponseReturnValue:
    """Begin a session of somebody who has the token."""
    if not _right(request.form.get("token", ""), _token(), "token"):
        return rendered("login.html", 403, wish=request.form.get("next", ""), wrong=True)
    session.clear()
    session.permanent = True
    # Flask counts from the cookie's last change; a session ends when it has to.
    until = time.time() + LIFETIME_S
    session.update(operator=TOKEN_NAME, name=secrets.token_hex(16), until=until)
    log.info("operator login", outcome="ok", by="token", operator=TOKEN_NAME, address=_address())
    return redirect(_wished(), 303)


@operators.post("/logout")
def leave() -> ResponseReturnValue:
    """End the session, for each copy of its cookie too."""
    if "name" in session:
        _logins().end(session["name"], session["until"])
    session.clear()
    log.info("operator logout", operator=g.operator.name, address=_address())
    return redirect(url_for("operators.ask"), 303)


def _wished() -> str:
    """Where somebody wanted to go before the login: a page of ours, and nowhere else."""
    wish = request.values.get("next", "")
    # Whatever follows, what begins so stays on this host; a line feed would end the header.
    own = wish.startswith(f"{PATH}/") and wish.isprintable()
    return wish if own else url_for("operators.latest")


def _right(given: str, secret: str, by: str) -> bool:
    right = _logins().right(given, secret, _address())
    if not right:
        log.warning("operator login", outcome="failed", by=by, address=_address())
    return right


@operators.errorhandler(TooManyGuessesError)
def too_many(_: TooManyGuessesError) -> ResponseReturnValue:
    """The answer to who was wrong too often."""
    log.warning("operator login", outcome="refused: too many tries", address=_address())
    answer = problem(429, "Too many wrong tries from this address.", "Wait a minute, then go on.")
    answer.headers["Retry-After"] = str(RETRY_AFTER_S)
    return answer


def _address() -> str:
    return request.remote_addr or "unknown"


def _token() -> str:
    return services.current().settings.of(OperatorsSettings).token.get_secret_value()


def _logins() -> _Logins:
    return cast("_Logins", current_app.extensions[_KEY])
