"""The small pieces of an OpenAPI document."""

from typing import Any

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
REQUEST_ID: Json = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
RETRY: Json = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
CHALLENGE: Json = {
    "WWW-Authenticate": {"required": True, "schema": TEXT, "description": "`Bearer`."}
}


def reference(kind: type) -> Json:
    """The schema of a type."""
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def as_json(kind: type, example: object = None) -> Json:
    """Content of one type, as JSON."""
    content: Json = {"schema": reference(kind)}
    if example is not None:
        content["example"] = example
    return {"application/json": content}


def answer(meaning: str, content: Json, headers: Json | None = None) -> Json:
    """An answer that is a success."""
    return {
        "description": meaning,
        "headers": {**REQUEST_ID, **(headers or {})},
        "content": content,
    }


def link(operation: str, value: str, meaning: str) -> Json:
    """Where to go on with what an answer has: `value` is the `id` of another operation."""
    return {"operationId": operation, "parameters": {"id": value}, "description": meaning}


def refusals(**meanings: str) -> Json:
    """Answers that are none, by `s` and their status, each with the codes that it may have."""
    refused: Json = {}
    for name, meaning in meanings.items():
        status = name.removeprefix("s")
        headers = {
            "401": CHALLENGE,
            "429": RETRY,
            "502": RETRY,
            "503": RETRY,
        }.get(status, {})
        refused[status] = {
            "description": meaning,
            "headers": {**REQUEST_ID, **headers},
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
        }
    return refused


def parameter(name: str, place: str, schema: Json, meaning: str) -> Json:
    """A parameter in the `path` or in the `query`."""
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": schema,
        "description": meaning,
    }


def body(content: Json) -> Json:
    """The body that a request has to have."""
    return {"required": True, "content": content}
