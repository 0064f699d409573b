"""Claims about the Prometheus rules, made by Prometheus itself."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sentiment import metrics

FOLDER = Path(__file__).parents[2] / "observability"
NAMES = {metric.name for metric in metrics.TABLE}

PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed: Debian's prometheus has it"
)


def rules() -> list[dict[str, Any]]:
    """All rules of all groups."""
    document = yaml.safe_load((FOLDER / "rules.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What promtool says."""
    command = [str(PROMTOOL), *arguments]
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)


def test_rules_name_only_series_that_there_are() -> None:
    """Each series in an expression is one of the metrics table."""
    named = {name for rule in rules() for name in re.findall(r"sentiment_\w+", rule["expr"])}
    assert named
    assert named <= NAMES


def test_each_alert_is_tested_and_says_what_to_do() -> None:
    """Each alert has a summary, a description and a severity, and a test with its name."""
    tests = (FOLDER / "rules.test.yml").read_text()
    for rule in rules():
        assert {"summary", "description"} <= rule["annotations"].keys()
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert f'"{rule["alert"]}"' in tests


@needs_promtool
def test_alerts_fire_when_they_should_and_only_then() -> None:
    """Promtool runs the rules over made series: each alert fires, and is quiet before."""
    done = promtool("test", "rules", "rules.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_a_changed_limit_is_noticed(tmp_path: Path) -> None:
    """The tests of the rules fail where a limit is another."""
    for name in ("rules.yml", "rules.test.yml"):
        text = (FOLDER / name).read_text().replace("> 120", "> 1200")
        (tmp_path / name).write_text(text)
    done = promtool("test", "rules", str(tmp_path / "rules.test.yml"))
    assert done.returncode == 1
    assert "SentimentWorkerStuck" in done.stdout + done.stderr
