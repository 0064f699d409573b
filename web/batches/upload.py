"""The body of an upload, and how it is written."""

import io
from pathlib import PurePath
from typing import BinaryIO, Literal, cast
from urllib.parse import urlsplit

from flask import request

from web.errors import ApiError

Format = Literal["csv", "text", "jsonl"]

TYPES: dict[str, Format] = {
    "text/csv": "csv",
    "text/plain": "text",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
}
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".txt": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
FORM = "multipart/form-data"
# The name of the file in a form.
FIELD = "file"


def body(max_bytes: int) -> tuple[Format, BinaryIO]:
    """How the upload is written, and its bytes.

    Args:
        max_bytes: Largest upload; more than other requests may have.

    Raises:
        ApiError: 413 or 415.
    """
    request.max_content_length = max_bytes
    if request.mimetype == FORM:
        return _file()
    if request.mimetype not in TYPES:
        raise ApiError(
            415,
            "not_a_table",
            f"Send {', '.join(TYPES)}, or a file as {FIELD!r} of a {FORM}.",
        )
    return TYPES[request.mimetype], io.BytesIO(request.get_data(cache=False))


def _file() -> tuple[Format, BinaryIO]:
    sent = request.files.get(FIELD)
    if sent is None:
        raise ApiError(422, "no_file", f"The form has no file named {FIELD!r}.")
    # By the name first: browsers ask the system for a file's type, and many don't know these.
    suffix = PurePath(sent.filename or "").suffix.lower()
    kind = SUFFIXES.get(suffix) or TYPES.get(sent.mimetype)
    if kind is None:
        raise ApiError(415, "not_a_table", f"Name the file with {', '.join(SUFFIXES)} at its end.")
    return kind, cast("BinaryIO", sent.stream)


def require_own_origin() -> None:
    """Refuse what another site's page sends: plain text and forms need no leave of the browser.

    Raises:
        ApiError: 403.
    """
    site = request.headers.get("Sec-Fetch-Site")
    # Over plain HTTP browsers say only the origin. What says neither is no page.
    if site is None:
        foreign = bool(request.origin) and urlsplit(request.origin).netloc != request.host
    else:
        foreign = site not in {"same-origin", "none"}
    if foreign:
        raise ApiError(403, "other_origin", "A page of another site may not upload here.")
