"""How often one caller may send, and whose word on the caller's address counts."""

import math
import time
from ipaddress import IPv6Address, ip_address

from flask import Flask, Response, request
from flask_limiter import Limiter
from flask_limiter.errors import RateLimitExceeded
from werkzeug.middleware.proxy_fix import ProxyFix

from sentiment.settings import WebSettings
from web.errors import ApiError
from web.keys import Keys, given

# What one household or machine is given; a limit by address would be none for who has 2^64 of them.
IPV6_PREFIX = 64


def install(app: Flask, settings: WebSettings, keys: Keys) -> None:
    """Limit the POSTs of an app by API key or address.

    The counts are this process's own: nothing is shared between replicas, so that no further
    server is needed.
    """
    proxies = settings.trusted_proxies
    if proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # Flask's own way to say it
            app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=0
        )
    if not settings.rate_limit:
        return
    limiter = Limiter(
        lambda: caller(keys),
        app=app,
        application_limits=[settings.rate_limit],
        application_limits_exempt_when=lambda: request.method != "POST",
        storage_uri="memory://",
        # Exact, where fixed windows let twice as many pass around their border.
        strategy="moving-window",
    )

    @app.errorhandler(RateLimitExceeded)
    def too_many(error: RateLimitExceeded) -> Response:
        del error
        limit = limiter.current_limit
        wait_s = limit.reset_at - time.time() if limit else 0
        return ApiError(
            429,
            "too_many_requests",
            f"Too many requests: one caller may send {settings.rate_limit}.",
            retry_after_s=max(1, math.ceil(wait_s)),
        ).response()

    del too_many


def caller(keys: Keys) -> str:
    """Who is limited: an API key that is right, else an address."""
    # A wrong key is not told apart from no key, or every guess would have a limit of its own.
    name = keys.name(given())
    return f"key {name}" if name else network(request.remote_addr or "")


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
