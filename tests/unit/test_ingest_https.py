"""Claims about sources at web addresses, against a real server that breaks off when told to."""

import hashlib
import random
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sentiment.errors import InputError, SetupError
from tests.unit.test_ingest_aclimdb import tiny
from trainer import remote
from trainer.ingest import ingest
from trainer.params import Ingest, Source
from trainer.remote import TRIES, fetch, read_web

CONTENT = random.Random(0).randbytes(10_500)  # noqa: S311 - made data, not secrets
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Site(ThreadingHTTPServer):
    """A server of one file.

    Attributes:
        content: The file.
        tag: Its ETag; empty: none is sent.
        breaks: Of the next answers, after how many bytes each breaks off.
        seen: The tags that were asked with; empty: none.
        status: What is answered.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.tag = CONTENT, '"one"'
        self.breaks: list[int] = []
        self.seen: list[str] = []
        self.status = 200

    @property
    def address(self) -> str:
        """Of the file, with what must not be shown."""
        # pragma: allowlist nextline secret - of this test
        return f"http://user:secret@127.0.0.1:{self.server_port}/aclImdb_v1.tar.gz?token=secret"


class Handler(BaseHTTPRequestHandler):
    """Answers GET."""

    server: Site

    def do_GET(self) -> None:
        """Send the file, say that it is the same, or break off."""
        site, asked = self.server, self.headers.get("If-None-Match", "")
        site.seen.append(asked)
        content, status = site.content, site.status
        if asked and asked == site.tag:
            content, status = b"", 304
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if site.tag:
            self.send_header("ETag", site.tag)
        # As misconfigured servers do; it must not be undone.
        self.send_header("Content-Encoding", "x-gzip")
        self.end_headers()
        if site.breaks:
            content = content[: site.breaks.pop(0)]
            self.close_connection = True
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    """A running server."""
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting before the next try."""
    monkeypatch.setattr(remote, "PAUSE_S", 0.0)


def get(site: Site, folder: Path, sha256: str | None = SHA256) -> bytes:
    """Fetch the file, and read what was fetched."""
    target = folder / "cache" / "file"
    found = fetch("the file", partial(read_web, site.address), target, sha256)
    content = target.read_bytes()
    assert found == hashlib.sha256(content).hexdigest()
    assert sorted(path.name for path in target.parent.iterdir()) == ["file", "file.json"]
    return content


def test_a_file_comes_once_and_stays(site: Site, tmp_path: Path) -> None:
    """With the right checksum there it isn't even asked for; without one, only for its tag."""
    assert get(site, tmp_path) == CONTENT
    assert get(site, tmp_path) == CONTENT
    assert get(site, tmp_path, None) == CONTENT
    assert site.seen == ["", site.tag]
    site.content, site.tag = CONTENT[::-1], '"two"'
    assert get(site, tmp_path, None) == CONTENT[::-1]


def test_a_line_that_breaks_is_tried_again(site: Site, tmp_path: Path) -> None:
    """From the start, and not for ever; no part is taken for the whole."""
    site.breaks = [1500, 0]
    assert get(site, tmp_path) == CONTENT
    assert len(site.seen) == 3
    (tmp_path / "cache" / "file").unlink()
    site.breaks = [10_000] * TRIES
    with pytest.raises(SetupError, match=f"broke off {TRIES} times"):
        get(site, tmp_path)
    assert not (tmp_path / "cache" / "file").exists()
    assert get(site, tmp_path) == CONTENT


@pytest.mark.parametrize("tag", ['"one"', 'W/"one"', ""])
def test_another_checksum_is_refused_and_not_kept(site: Site, tmp_path: Path, tag: str) -> None:
    """Neither the file nor a part of it stays, with any sort of tag, so that a retry is one."""
    site.tag = tag
    with pytest.raises(InputError, match=f"has the SHA-256 {SHA256}, not 0000"):
        get(site, tmp_path, "0" * 64)
    assert not list((tmp_path / "cache").iterdir())
    assert get(site, tmp_path) == CONTENT


def test_a_file_that_was_damaged_here_is_fetched_again(site: Site, tmp_path: Path) -> None:
    """A bit that fell over on our disk doesn't pass."""
    get(site, tmp_path)
    (tmp_path / "cache" / "file").write_bytes(CONTENT[:-1] + b"?")
    assert get(site, tmp_path, None) == CONTENT


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, InputError), (403, InputError), (503, SetupError), (429, SetupError)],
)
def test_refusals_are_told_without_secrets(
    site: Site, tmp_path: Path, status: int, error: type[InputError | SetupError]
) -> None:
    """The status is named; user, password and query of the address are not."""
    site.status = status
    with pytest.raises(error, match=rf"answers {status} ") as caught:
        get(site, tmp_path)
    assert "secret" not in caught.value.message + caught.value.hint


def test_a_server_that_is_down_is_told_without_secrets(site: Site, tmp_path: Path) -> None:
    """So is that nobody listens there."""
    address = site.address.replace(str(site.server_port), "1")
    with pytest.raises(SetupError, match=r"broke off .*: ConnectionError") as caught:
        fetch("it", partial(read_web, address), tmp_path / "file")
    assert "secret" not in caught.value.message + caught.value.hint


def test_the_archive_is_ingested_from_its_address(site: Site, tmp_path: Path) -> None:
    """From the address to the table; reports name the address without its secrets."""
    site.content = tiny(tmp_path / "made.tar.gz").read_bytes()
    sha256 = hashlib.sha256(site.content).hexdigest()
    source = Source(name="imdb", uri=site.address, format="aclimdb", sha256=sha256)
    report = ingest(Ingest(sources=[source]), tmp_path, tmp_path / "data" / "raw")
    assert report.kept == 4
    written = (tmp_path / "data" / "raw" / "report.json").read_text()
    assert f'"http://127.0.0.1:{site.server_port}/aclImdb_v1.tar.gz"' in written
    assert "secret" not in written
    assert len(list((tmp_path / "data" / "cache").iterdir())) == 2


def test_no_name_here_comes_from_the_address_unchecked(site: Site, tmp_path: Path) -> None:
    """A copy stands in the cache, whatever the address says."""
    site.content = b"text,label\na,1\n"
    sha256 = hashlib.sha256(site.content).hexdigest()
    address = f"http://127.0.0.1:{site.server_port}/a/%2e%2e/..%2f..\\{'x' * 300}.csv"
    ingest(
        Ingest(sources=[Source(name="a", uri=address, sha256=sha256)]), tmp_path, tmp_path / "raw"
    )
    (copy, _) = sorted((tmp_path / "cache").iterdir())
    assert re.fullmatch(r"[0-9a-f]{16}-x{76}\.csv", copy.name)
