"""Every route, by its path."""

from sentiment.settings import WebSettings
from web.openapi import gets, posts
from web.openapi.parts import Json


def paths(settings: WebSettings) -> Json:
    """Every route, by its path."""
    security: list[Json] = [{"key": []}, {"bearer": []}]
    if not settings.api_keys.get_secret_value():
        # Whoever has no key may send too.
        security.append({})
    found = {
        "/api/events": {"post": posts.send()},
        "/api/results/{id}": {"get": gets.result(settings)},
        "/api/feedback": {"post": posts.feedback()},
        "/api/batches": {"post": posts.upload(settings)},
        "/api/batches/{id}": {"get": gets.progress()},
        "/api/batches/{id}/results": {"get": gets.download()},
        "/api/trends": {"get": gets.trends()},
        "/api/stream": {"get": gets.stream()},
        "/api/status": {"get": gets.status()},
    }
    for operations in found.values():
        for method, operation in operations.items():
            if method == "post":
                operation["security"] = security
            operation["responses"] = dict(sorted(operation["responses"].items()))
    return found
