"""Who may send, how often, and how much one caller may hold."""

import hashlib
import hmac
import math
import re
import threading
import time
from collections import Counter
from ipaddress import IPv6Address, ip_address
from typing import Literal

from flask import Flask, Response, request
from flask_limiter import Limiter
from flask_limiter.errors import RateLimitExceeded
from werkzeug.middleware.proxy_fix import ProxyFix

from web.answers import ApiError
from web.settings import WebSettings

REALM = 'Bearer realm="sentiment"'
# Of a key's SHA-256: enough to tell keys apart in logs and limits, of no use to guess one from.
NAME_CHARS = 8
# What one household or machine is given; a limit by address would be none for who has 2^64 of them.
IPV6_PREFIX = 64
# In the environment of a request for which the server has no thread or no memory.
REFUSED = "sentiment.refused"


class Keys:
    """The keys that are set, of which only digests are kept; `needed`: there are some."""

    def __init__(self, settings: WebSettings) -> None:
        keys = re.split(r"[\s,]+", settings.api_keys.get_secret_value())
        self._digests = [_digest(key) for key in keys if key]
        self.needed = bool(self._digests)

    def name(self, key: str) -> str:
        """A name for a key that is one of ours, which does not reveal it; empty for any other."""
        digest = _digest(key)
        # Each is compared, in the same time whatever differs: the time reveals nothing of a key.
        same = [hmac.compare_digest(digest, ours) for ours in self._digests]
        return digest.hex()[:NAME_CHARS] if any(same) else ""


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()


def _given() -> str:
    key = request.headers.get("X-API-Key", "")
    bearer = request.authorization
    if not key and bearer is not None and bearer.type == "bearer":
        # Second, since it may be meant for a proxy before us.
        key = bearer.token or ""
    return key


class Shares:
    """What all callers share, bounded in all and for `each` of them; any thread may use it."""

    def __init__(self, total: int, each: int) -> None:
        self._total, self._each = total, each
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._sum = 0

    def take(self, caller: str, amount: int = 1) -> Literal["", "all", "own"]:
        """Take a part; else whose bound it would be beyond, and nothing is taken."""
        with self._lock:
            if self._taken[caller] + amount > self._each:
                return "own"
            if self._sum + amount > self._total:
                return "all"
            self._taken[caller] += amount
            self._sum += amount
            return ""

    def give(self, caller: str, amount: int = 1) -> None:
        """Give a part back."""
        with self._lock:
            self._sum -= amount
            self._taken[caller] -= amount
            if self._taken[caller] <= 0:
                del self._taken[caller]


def hold(shares: Shares, who: str, what: str) -> None:
    """Hold one of the requests that stay open, `feeds` or `waits`, or 429 or 503; end by `give`."""
    beyond = shares.take(who)
    if beyond:
        whose = "one caller may have" if beyond == "own" else "this server bears"
        message = f"As many feeds and waits are open as {whose}."
        raise ApiError(429 if beyond == "own" else 503, f"too_many_{what}", message)


def install(app: Flask, settings: WebSettings, keys: Keys) -> None:
    """Limit the POSTs of an app by API key or address, and let nobody send without a key.

    The counts are this process's own: no further server is needed.
    """
    proxies = settings.trusted_proxies
    if proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # Flask's own way to say it
            app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=0
        )
    app.before_request(_refuse)
    if settings.rate_limit:
        # Before keys are checked: guesses of one are counted too.
        _limit(app, settings.rate_limit, keys)

    if keys.needed:
        app.before_request(lambda: _demand(keys))


def _demand(keys: Keys) -> None:
    if request.method != "POST" or not request.path.startswith("/api/"):
        return
    key = _given()
    if not key:
        message = "Sending needs an API key, as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'."
        raise ApiError(401, "key_needed", message, headers={"WWW-Authenticate": REALM})
    if not keys.name(key):
        message = "This API key is none of those that may send."
        challenge = {"WWW-Authenticate": f'{REALM}, error="invalid_token"'}
        raise ApiError(401, "wrong_key", message, headers=challenge)


def _refuse() -> None:
    if request.environ.get(REFUSED):
        message = "As many requests are under way as this server bears."
        raise ApiError(503, "busy", message)


def _limit(app: Flask, rate: str, keys: Keys) -> None:
    limiter = Limiter(
        lambda: caller(keys),
        app=app,
        application_limits=[rate],
        application_limits_exempt_when=lambda: request.method != "POST",
        storage_uri="memory://",
        # Exact, where fixed windows let twice as many pass around their border.
        strategy="moving-window",
    )

    @app.errorhandler(RateLimitExceeded)
    def too_many(_: RateLimitExceeded) -> Response:
        limit = limiter.current_limit
        wait_s = max(1, math.ceil(limit.reset_at - time.time())) if limit else 1
        message = f"Too many requests: one caller may send {rate}."
        return ApiError(429, "too_many_requests", message, retry_after_s=wait_s).response()

    del too_many


def caller(keys: Keys) -> str:
    """Who is limited: an API key that is right, else an address."""
    # A wrong key is not told apart from no key, or every guess would have a limit of its own.
    name = keys.name(_given())
    return f"key {name}" if name else network(request.remote_addr or "")


def forwarded(peer: str, header: str, proxies: int) -> str:
    """The address of whom trusted proxies ask for, as `ProxyFix` reads it: else the peer's.

    The last entries of `header`, `X-Forwarded-For`, are those of so many proxies.
    """
    entries = [entry.strip() for entry in header.split(",")] if header else []
    return entries[-proxies] if 0 < proxies <= len(entries) else peer


def network(address: str) -> str:
    """The address of a caller, without the part that a caller chooses alone."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> IPV6_PREFIX << IPV6_PREFIX))
