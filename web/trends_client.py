"""Asking `sentiment trends`: one call to it a second, however many ask."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from sentiment import logs

# The trends change about once a second, and 200 open pages must not make 200 calls.
KEPT_S = 1.0
# It answers from memory; a person waits no longer for a chart.
TIMEOUT_S = 3.0
# A day of minutes of ten models is about 2 MB; whatever has more than this is no trends.
MAX_BYTES = 8 * 1024 * 1024
# Different questions at one time: callers choose sources, and must not fill the memory.
MAX_KEPT = 64

log = logs.get(__name__)


@dataclass
class _Kept:
    """An answer that all who ask the same within `KEPT_S` get."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    until: float = 0.0
    status: int = 0
    body: bytes = b""


class TrendsClient:
    """Asks the trends' own server; any thread may use it.

    Args:
        url: Its address; empty: there is none.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def ask(self, query: str) -> tuple[int, bytes]:
        """Status and body of an answer that is at most `KEPT_S` old; 0 where none came.

        Args:
            query: Parameters, encoded.
        """
        with self._lock:
            kept = self._kept.setdefault(query, _Kept())
            self._kept.move_to_end(query)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        # Whoever comes while one asks waits for that one's answer, a failure too.
        with kept.lock:
            if time.monotonic() >= kept.until:
                kept.status, kept.body = _fetch(f"{self.url}/trends?{query}")
                kept.until = time.monotonic() + KEPT_S
            return kept.status, kept.body


def _fetch(url: str) -> tuple[int, bytes]:
    try:
        with urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the setting allows HTTP alone
            return answer.status, _body(answer.read(MAX_BYTES + 1))
    except HTTPError as error:
        with error:
            return error.code, _body(error.read(MAX_BYTES + 1))
    except (URLError, OSError, HTTPException) as error:
        log.warning("no trends", reason=str(error))
        return 0, b""


def _body(body: bytes) -> bytes:
    # Cut off, it is no JSON, and so no answer.
    return body if len(body) <= MAX_BYTES else b""
