"""Claims about sources at web addresses, against a real server that breaks off when told to."""

import hashlib
import random
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sentiment.errors import InputError, SetupError
from tests.unit.test_ingest_aclimdb import tiny
from trainer.ingest import ingest
from trainer.params import Ingest, Source
from trainer.sources import ranges
from trainer.sources.downloads import fetch
from trainer.sources.https import WebFile

CONTENT = random.Random(0).randbytes(10_500)  # noqa: S311 - made data, not secrets
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Site(ThreadingHTTPServer):
    """A server of one file.

    Attributes:
        content: The file.
        tag: Its ETag; empty: none is sent.
        ranges: Whether ranges are served.
        breaks: Of the next answers, after how many bytes each breaks off.
        seen: The ranges that were asked for; empty for the whole.
        broken: Called when an answer breaks off.
        status: What is answered.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.tag, self.ranges = CONTENT, '"one"', True
        self.breaks: list[int] = []
        self.seen: list[str] = []
        self.status = 200
        self.broken: Callable[[], None] = lambda: None

    @property
    def address(self) -> str:
        """Of the file, with what must not be shown."""
        # pragma: allowlist nextline secret - of this test
        return f"http://user:secret@127.0.0.1:{self.server_port}/aclImdb_v1.tar.gz?token=secret"


class Handler(BaseHTTPRequestHandler):
    """Answers GET."""

    server: Site

    def do_GET(self) -> None:
        """Send the file or a range of it, or break off."""
        site, asked = self.server, self.headers.get("Range", "")
        content, status = site.content, site.status
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", asked)
        same = self.headers.get("If-Range", site.tag) == site.tag
        content_range = ""
        if found and site.ranges and same and status == 200:
            start, stop = int(found[1]), int(found[2]) + 1
            status = 206
            content_range = f"bytes {start}-{stop - 1}/{len(content)}"
            content = content[start:stop]
        # The first of each run only asks for the length.
        if asked != "bytes=0-0":
            site.seen.append(asked)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if content_range:
            self.send_header("Content-Range", content_range)
        if site.tag:
            self.send_header("ETag", site.tag)
        # As misconfigured servers do; it must not be undone.
        self.send_header("Content-Encoding", "x-gzip")
        self.end_headers()
        if site.breaks and asked != "bytes=0-0":
            content = content[: site.breaks.pop(0)]
            self.close_connection = True
            site.broken()
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
def small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of 4,000 bytes, and no waiting before the next try."""
    monkeypatch.setattr(ranges, "RANGE_BYTES", 4000)
    monkeypatch.setattr(ranges, "PAUSE_S", 0.0)


def get(site: Site, folder: Path, sha256: str | None = SHA256) -> bytes:
    """Fetch the file, and read what was fetched."""
    target = folder / "cache" / "file"
    found = fetch(lambda: WebFile(site.address), target, sha256)
    content = target.read_bytes()
    assert found == hashlib.sha256(content).hexdigest()
    assert sorted(path.name for path in target.parent.iterdir()) == ["file", "file.json"]
    return content


def fail_at(site: Site, folder: Path, breaks: list[int]) -> str:
    """Fetch the file while the server breaks off again and again; what was said."""
    site.breaks = breaks
    with pytest.raises(SetupError, match="broke off") as caught:
        get(site, folder)
    site.breaks = []
    return caught.value.message


def test_a_file_comes_in_ranges_and_stays(site: Site, tmp_path: Path) -> None:
    """It is read range by range, and with the right checksum there it isn't even asked for."""
    assert get(site, tmp_path) == CONTENT
    assert site.seen == ["bytes=0-3999", "bytes=4000-7999", "bytes=8000-10499"]
    site.shutdown()
    assert get(site, tmp_path) == CONTENT


def test_a_line_that_breaks_is_taken_up_where_it_broke(site: Site, tmp_path: Path) -> None:
    """Within one run, only the rest of a range is asked for again."""
    site.breaks = [1500, 1000]
    assert get(site, tmp_path) == CONTENT
    assert site.seen[:4] == [
        "bytes=0-3999",
        "bytes=1500-3999",
        "bytes=2500-3999",
        "bytes=4000-7999",
    ]


def test_the_next_run_goes_on_where_the_last_one_ended(site: Site, tmp_path: Path) -> None:
    """After a failure, not one byte that had arrived is asked for again."""
    said = fail_at(site, tmp_path, [4000, 700, 0, 0, 0, 0])
    assert "5 times" in said
    site.seen.clear()
    assert get(site, tmp_path) == CONTENT
    assert site.seen == ["bytes=4700-7999", "bytes=8000-10499"]


def test_a_file_that_was_changed_begins_anew(site: Site, tmp_path: Path) -> None:
    """What had arrived of the old version is of no use for the new one."""
    fail_at(site, tmp_path, [4000, 700, 0, 0, 0, 0])
    site.seen.clear()
    site.content, site.tag = CONTENT[::-1], '"two"'
    assert get(site, tmp_path, None) == CONTENT[::-1]
    assert site.seen[0] == "bytes=0-3999"


def test_a_file_that_is_changed_on_the_way_begins_anew(site: Site, tmp_path: Path) -> None:
    """No file is ever made of two versions."""

    def change() -> None:
        site.content, site.tag = CONTENT[::-1], '"two"'

    site.breaks, site.broken = [700], change
    assert get(site, tmp_path, None) == CONTENT[::-1]
    assert site.seen[:3] == ["bytes=0-3999", "bytes=700-3999", "bytes=0-3999"]


def test_a_server_without_ranges_is_read_from_the_start(site: Site, tmp_path: Path) -> None:
    """It can't go on, so it begins anew; and it doesn't try forever."""
    site.ranges = False
    site.breaks = [4000, 9000]
    assert get(site, tmp_path) == CONTENT
    assert site.seen == ["", "", ""]
    (tmp_path / "cache" / "file").unlink()
    # Although each try comes further than the last.
    fail_at(site, tmp_path, [6_000, 7_000, 8_000, 9_000, 10_000])
    assert len(site.seen) == 8


@pytest.mark.parametrize("tag", ['"one"', 'W/"one"', ""])
def test_another_checksum_is_refused_and_not_kept(site: Site, tmp_path: Path, tag: str) -> None:
    """Neither the file nor a part of it stays, with any sort of tag, so that a retry is one."""
    site.tag = tag
    with pytest.raises(InputError, match=f"has the SHA-256 {SHA256}, not 0000"):
        get(site, tmp_path, "0" * 64)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["file.json"]
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
    with pytest.raises(error, match=rf"/aclImdb_v1.tar.gz answers {status} ") as caught:
        get(site, tmp_path)
    assert "secret" not in caught.value.message + caught.value.hint


def test_a_server_that_is_down_is_told_without_secrets(site: Site, tmp_path: Path) -> None:
    """So is that nobody listens there."""
    address = site.address.replace(str(site.server_port), "1")
    with pytest.raises(SetupError, match="can't be reached: ConnectionError") as caught:
        fetch(lambda: WebFile(address), tmp_path / "file")
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
