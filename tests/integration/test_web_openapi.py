import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import StartWorker
from tests.integration.pages import page
from tests.integration.trends_process import StartTrends

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).parent.parent.parent
CONFIG = Path(__file__).parent / "api_fuzz" / "schemathesis.toml"
KEY = "key-of-the-test"
# Requests made at random for each route, the same at each run, beside those at the limits of each
# schema: about a minute.
EXAMPLES = 20


def test_the_api_is_what_its_document_says(
    start_worker: StartWorker, start_trends: StartTrends, tmp_path: Path
) -> None:
    """Requests made of the document, right and wrong ones, are all answered as it says."""
    start_worker()
    trends = start_trends()
    trends.wait_for(0)
    environment = {
        "WEB_API_KEYS": KEY,
        # What limits how often is another test's; here it would be in the way.
        "WEB_RATE_LIMIT": "",
        "WEB_MAX_BATCHES": "10000",
        "WEB_MAX_WAIT_S": "0.05",
        "WEB_TRENDS_URL": f"http://127.0.0.1:{trends.port}",
    }
    with page(tmp_path / "web.log", **environment) as site:
        report = tmp_path / "report.json"
        options = {
            "--config-file": str(CONFIG),
            "run": f"{site.url}/api/openapi.json",
            "--checks": "all",
            "--max-examples": str(EXAMPLES),
            "--header": f"X-API-Key: {KEY}",
            "--warnings": "off",
            "--report": "json",
            "--report-json-path": str(report),
        }
        words = [word for option in options.items() for word in option]
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", *words, "--generation-deterministic"],
            # What it leaves behind is left there.
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in site.log.read_text()
    asked = json.loads(report.read_text())
    assert asked["operations"]["tested"] == asked["operations"]["total"] == 9
    assert {phase["status"] for phase in asked["phases"].values()} == {"success"}
    # Wrong requests are not all that it made.
    for path in ("/api/events", "/api/feedback", "/api/batches"):
        made = asked["valid_rates"][f"POST {path}"]
        assert sum(phase["accepted"] for phase in made.values())
