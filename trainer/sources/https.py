"""Files at http and https addresses."""

import re
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import requests
from requests import Response
from urllib3.exceptions import HTTPError

from sentiment.errors import InputError, SetupError
from trainer.sources.checksums import BLOCK_BYTES
from trainer.sources.ranges import BrokenTransferError, ChangedError

# Seconds until a server has to accept a connection, and of its longest silence after that.
TIMEOUT_S = (10, 30)

# The bytes as they are stored: a range of anything else could not be put in its place.
_HEADERS = {"Accept-Encoding": "identity"}
_OK, _PARTIAL, _TOO_MANY, _SERVER_ERROR = 200, 206, 429, 500


class WebFile:
    """A `trainer.sources.ranges.Remote`.

    Args:
        address: http or https; its user, password and query are never shown.

    Raises:
        InputError: There is no such file, or its server doesn't say how long it is.
        SetupError: The server can't be reached.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self.uri = shown(address)
        try:
            with closing(self._get({"Range": "bytes=0-0"})) as response:
                self._take(response)
        except BrokenTransferError as error:
            raise SetupError(
                f"{self.uri} can't be reached: {error}.",
                "Look at the address and the network; behind a proxy set HTTPS_PROXY.",
            ) from error

    def read(self, start: int, stop: int) -> Generator[bytes]:
        """The bytes from `start` up to `stop`; see `Remote`."""
        headers = {}
        if self.connections:
            headers["Range"] = f"bytes={start}-{stop - 1}"
            if self._validator:
                # Of another version, the server sends the whole instead.
                headers["If-Range"] = self._validator
        with closing(self._get(headers)) as response:
            if self.connections and response.status_code == _OK:
                raise ChangedError
            at = response.headers.get("Content-Range", "bytes 0-")
            if response.status_code not in {_OK, _PARTIAL} or not at.startswith(f"bytes {start}-"):
                raise BrokenTransferError(_answer(response))
            try:
                # Not decoded: some servers call a .gz file an encoding of its content.
                while block := response.raw.read(BLOCK_BYTES, decode_content=False):
                    yield block
            except (HTTPError, OSError) as error:
                raise BrokenTransferError(type(error).__name__) from error

    def fault(self, path: Path) -> str:
        """None is known: an address needs the SHA-256 of its source."""
        del path
        return ""

    def _take(self, response: Response) -> None:
        if response.status_code not in {_OK, _PARTIAL}:
            message = f"{self.uri} answers {_answer(response)}."
            if response.status_code == _TOO_MANY or response.status_code >= _SERVER_ERROR:
                raise SetupError(message, "Try again later.")
            raise InputError(message, "Look at the address.")
        headers = response.headers
        tag, changed = headers.get("ETag", ""), headers.get("Last-Modified", "")
        # A weak tag says that it means the same, not that it is the same.
        self._validator = changed if tag.startswith("W/") or not tag else tag
        self.tag = self._validator
        if response.status_code == _PARTIAL:
            # One at a time: a university's server is no S3.
            self.connections = 1
            size = re.fullmatch(r"bytes 0-0/(\d+)", headers.get("Content-Range", ""))
        else:
            self.connections = 0
            size = re.fullmatch(r"(\d+)", headers.get("Content-Length", ""))
        if size is None:
            raise InputError(
                f"{self.uri}: its server doesn't say how long it is.",
                "Download it yourself, and give the file instead of the address.",
            )
        self.size = int(size[1])

    def _get(self, headers: dict[str, str]) -> Response:
        try:
            return requests.get(
                self._address, headers=_HEADERS | headers, stream=True, timeout=TIMEOUT_S
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            # Its own text has the whole address in it.
            raise BrokenTransferError(type(error).__name__) from error
        except requests.RequestException as error:
            raise InputError(
                f"{self.uri} can't be asked for: {type(error).__name__}.", "Look at the address."
            ) from error


def shown(address: str) -> str:
    """The address without what may be secret: user, password, query and fragment."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _answer(response: Response) -> str:
    return f"{response.status_code} {response.reason}"
