"""A real Prometheus of a test's own."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from local.process import free_port

PROGRAM = shutil.which("prometheus")
# Far above what its start takes; reached only when something is broken.
PATIENCE_S = 90.0
RULES = Path(__file__).parents[2] / "observability" / "rules.yml"


class RefusedError(Exception):
    """Prometheus says that a query is wrong."""


class Prometheus:
    """Its API; see `prometheus`.

    Args:
        port: Where it listens.
    """

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an expression as they are now.

        Raises:
            RefusedError: It is no valid expression.
        """
        answer = self._get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def down(self) -> list[str]:
        """Targets that are not scraped, and why."""
        targets = self._get("/api/v1/targets?state=active")["data"]["activeTargets"]
        return [f"{t['scrapeUrl']}: {t['lastError']}" for t in targets if t["health"] != "up"]

    def failing(self) -> list[str]:
        """Rules that can't be evaluated, and why."""
        groups = self._get("/api/v1/rules")["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert rules
        return [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule.get("lastError")]

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self._address}/-/ready", timeout=10):  # noqa: S310 - ours
                return True
        except OSError:
            return False

    def _get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        try:
            with urllib.request.urlopen(f"{self._address}{path}", timeout=PATIENCE_S) as answer:  # noqa: S310 - ours
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise RefusedError(json.loads(error.read())["error"]) from None


@contextmanager
def prometheus(folder: Path, ports: Mapping[str, int]) -> Iterator[Prometheus]:
    """A Prometheus with our rules, that scrapes processes of this machine every few seconds.

    Args:
        folder: For its configuration, data and log.
        ports: Where each job shows its metrics.
    """
    # A busy machine may need seconds for an answer, and what is late counts as down.
    interval = {"scrape_interval": "5s", "evaluation_interval": "1s", "scrape_timeout": "5s"}
    jobs = [
        {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        for name, port in ports.items()
    ]
    config = {"global": interval, "rule_files": [str(RULES)], "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                str(PROGRAM),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=output,
            stderr=output,
        )
    server = Prometheus(port)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not server.ready():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
