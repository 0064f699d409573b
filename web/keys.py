"""API keys: who may send, where keys are set."""

import hashlib
import hmac
import re

from flask import Flask, Response, request

from sentiment.settings import WebSettings
from web.errors import ApiError

REALM = 'Bearer realm="sentiment"'
# Of a key's SHA-256: enough to tell keys apart in logs and limits, of no use to guess one from.
NAME_CHARS = 8


class KeyNeededError(ApiError):
    """Nobody sends without a key.

    Args:
        given: Whether a key was given, which then is none of ours.
    """

    def __init__(self, *, given: bool) -> None:
        if given:
            super().__init__(401, "wrong_key", "This API key is none of those that may send.")
        else:
            super().__init__(
                401,
                "key_needed",
                "Sending needs an API key, as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
            )
        self._challenge = f'{REALM}, error="invalid_token"' if given else REALM

    def response(self) -> Response:
        """The answer."""
        answer = super().response()
        answer.headers["WWW-Authenticate"] = self._challenge
        return answer


class Keys:
    """The keys that are set; only their digests are kept.

    Args:
        settings: `api_keys` among them.

    Attributes:
        needed: Whether any is set, and sending so needs one.
    """

    def __init__(self, settings: WebSettings) -> None:
        keys = re.split(r"[\s,]+", settings.api_keys.get_secret_value())
        self._digests = [_digest(key) for key in keys if key]
        self.needed = bool(self._digests)

    def name(self, key: str) -> str:
        """A name for a key that is one of ours, which tells nothing of it; empty for any other."""
        digest = _digest(key)
        # Each is compared, in the same time whatever is wrong: time tells nothing of a key.
        same = [hmac.compare_digest(digest, ours) for ours in self._digests]
        return digest.hex()[:NAME_CHARS] if any(same) else ""


def given() -> str:
    """The key that came with the request; empty if none."""
    key = request.headers.get("X-API-Key", "")
    bearer = request.authorization
    if not key and bearer is not None and bearer.type == "bearer":
        # Second, since it may be meant for a proxy before us.
        key = bearer.token or ""
    return key


def install(app: Flask, keys: Keys) -> None:
    """Let nobody without a key post to the API of an app, where keys are set."""

    @app.before_request
    def demand() -> None:
        if keys.needed and request.method == "POST" and request.path.startswith("/api/"):
            key = given()
            if not keys.name(key):
                raise KeyNeededError(given=bool(key))

    del demand


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()
