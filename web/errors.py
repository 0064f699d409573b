"""How the API says no."""

from collections.abc import Mapping

from flask import Response, g, jsonify

# Kafka is watched once a second, and clients need a moment to connect again.
RETRY_AFTER_S = 2


class ApiError(Exception):
    """An answer that is no success, as `{"error": {"code": …, "message": …, "request_id": …}}`.

    Args:
        status: HTTP status.
        code: What is wrong, for programs.
        message: What is wrong and what to do, for people.
        details: Further members of the error object.
        retry_after_s: When to try again, in seconds; sent as `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Mapping[str, object] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self._body = {"code": code, "message": message, **(details or {})}
        self._retry_after_s = retry_after_s

    def response(self) -> Response:
        """The answer."""
        answer = jsonify(error={**self._body, "request_id": g.get("request_id", "")})
        answer.status_code = self.status
        if self._retry_after_s is not None:
            answer.headers["Retry-After"] = str(self._retry_after_s)
        return answer
