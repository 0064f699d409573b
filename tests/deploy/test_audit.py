"""`make audit` by the real pip-audit, with a service of advisories on this machine."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.processes import run
from tools import audit

WEAKNESS = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "summary": "An example.",
    "affected": [
        {
            "package": {"name": "numpy", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}],
        }
    ],
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the locked scanners, made here as the Makefile makes it."""
    folder = tmp_path_factory.mktemp("scan")
    assert not run(sys.executable, "-m", "venv", folder, timeout=300).returncode
    python = folder / "bin" / "python"
    options = ("install", "--quiet", "--require-hashes", "-r", "requirements/scan.txt")
    done = run(python, "-m", "pip", *options, cwd=audit.ROOT, timeout=300)
    assert not done.returncode, f"This test needs a package registry; pip says: {done.stderr}"
    return python


@contextmanager
def advisories(status: int, weak: str | None = None) -> Iterator[str]:
    """A server like OSV's that gives this status, and knows a weakness of one package at most."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = {"vulns": [WEAKNESS]} if asked["package"]["name"] == weak else {}
            body = json.dumps(known).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def asked(python: Path, url: str, *options: str) -> tuple[int, str]:
    """The exit code of an audit by this service, and what was said."""
    given = ("-s", "osv", "--osv-url", url, *options)
    done = run(python, "-m", "tools.audit", *given, cwd=audit.ROOT, timeout=280)
    return done.returncode, done.stdout + done.stderr


def test_a_clean_audit_says_of_how_many(python: Path) -> None:
    """Every package of every image was asked about, and nothing is known against one."""
    with advisories(200) as url:
        code, said = asked(python, url)
    assert code == 0
    assert int(said.removeprefix("No known weakness in ").split()[0]) > 150, said


@pytest.mark.parametrize("options", [[], ["--allow-unanswered"]])
def test_a_weakness_fails_it(python: Path, options: list[str]) -> None:
    """A package with an advisory ends it with 1, its name and the version that mends it."""
    with advisories(200, "numpy") as url:
        code, said = asked(python, url, *options)
    assert code == audit.FOUND
    assert "numpy" in said
    assert "CVE-2026-1" in said
    assert "mended in 99" in said


def test_a_service_that_does_not_answer_is_no_clean_audit(python: Path) -> None:
    """An error of the service, or no service, is an outcome of its own, and told in a sentence."""
    with advisories(503) as url:
        answers = [asked(python, url)]
    answers += [asked(python, url), asked(python, url, "--allow-unanswered")]
    assert [code for code, _ in answers] == [audit.UNANSWERED, audit.UNANSWERED, 0]
    assert all(said.startswith("NOT AUDITED") for _, said in answers)


def test_a_scan_that_fails_by_itself_is_not_forgiven(python: Path) -> None:
    """Wrong use of pip-audit is never taken for a service that doesn't answer."""
    code, said = asked(python, "http://127.0.0.1:1/", "--allow-unanswered", "--nonsense")
    assert code == audit.FOUND
    assert "unrecognized arguments: --nonsense" in said


def test_a_package_that_the_registry_does_not_know_counts_as_not_asked() -> None:
    """What pip-audit skips, and passes over with success, is told; beside it, findings stand."""
    skipped = {"name": "one", "skip_reason": "Dependency not found on PyPI: one (1.0)"}
    weak: dict[str, Any] = {"name": "two", "version": "2.0"}
    weak["vulns"] = [{"id": "PYSEC-1", "aliases": [], "fix_versions": []}]
    fine = {"name": "three", "version": "3.0", "vulns": []}
    found, unanswered = audit.judge({"dependencies": [skipped, weak, fine]})
    assert [line.split(":")[0] for line in found] == ["two 2.0"]
    assert unanswered == ["Dependency not found on PyPI: one (1.0)"]


def test_all_that_images_install_is_audited() -> None:
    """The list comes from the Dockerfile: an image's requirements can't be forgotten."""
    named = audit.installed()
    assert {"worker", "aot", "trends", "web", "trainer", "mlflow", "msk", "tracing"} < set(named)
    assert all((audit.ROOT / f"requirements/{name}.txt").exists() for name in named)
