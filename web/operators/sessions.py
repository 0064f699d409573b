"""The operators' cookie: signed with a key that is made of the secrets themselves.

So each replica makes the same key, and a new token or proxy's secret ends every session. The
cookie goes to the operators' page alone: the API under the same address never sees one.
"""

import hashlib
from datetime import timedelta

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import generate_csrf, validate_csrf
from wtforms import ValidationError

from sentiment.settings import OperatorsSettings

# A working day: whoever logged in in the morning need not do so again.
LIFETIME_S = 8 * 60 * 60
PATH = "/operators"
# The form's field of the token against forged forms.
FIELD = "csrf_token"


class _Cookie(SecureCookieSessionInterface):
    """Flask's own signed cookie, which is marked Secure where the request came by https."""

    digest_method = staticmethod(hashlib.sha256)

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whether the browser may send it by https alone."""
        return super().get_cookie_secure(app) or request.is_secure


def install(app: Flask, settings: OperatorsSettings) -> None:
    """Give an app the operators' sessions."""
    app.secret_key = _key(settings)
    app.session_interface = _Cookie()
    app.config.update(
        SESSION_COOKIE_NAME="sentiment-operator",
        SESSION_COOKIE_PATH=PATH,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=settings.https,
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=LIFETIME_S),
    )


def form_token() -> str:
    """What a form has to send back, so that it can only be ours."""
    token: str = generate_csrf(token_key=FIELD)
    return token


def ours(sent: str | None) -> bool:
    """Whether a form came from a page of this session."""
    try:
        validate_csrf(sent, time_limit=LIFETIME_S, token_key=FIELD)
    except ValidationError:
        return False
    return True


def _key(settings: OperatorsSettings) -> bytes:
    token, proxy = settings.token.get_secret_value(), settings.proxy_secret.get_secret_value()
    # Slow on purpose (50 ms, once): from a cookie that was seen, nobody tries out tokens quickly.
    # The length keeps two secrets from being mistaken for two others.
    return hashlib.scrypt(
        f"{len(token)}:{token}{proxy}".encode(), salt=b"sentiment operators' sessions", n=2**14,
        r=8, p=1, dklen=32,
    )  # fmt: skip
