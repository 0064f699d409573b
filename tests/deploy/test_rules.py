"""Claims about the Prometheus rules, made by Prometheus itself."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from observability.panels import metrics_of
from tests.processes import run

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "observability"

PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed: Debian's prometheus has it"
)


def load(name: str) -> dict[str, Any]:
    """A document of the folder."""
    document: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return document


def rules() -> list[dict[str, Any]]:
    """All rules of all groups."""
    return [rule for group in load("rules.yml")["groups"] for rule in group["rules"]]


RECORDED = {rule["record"] for rule in rules() if "record" in rule}
ALERTS = [rule for rule in rules() if "alert" in rule]
each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What promtool says."""
    return run(str(PROMTOOL), *arguments, cwd=FOLDER)


def test_rules_name_only_series_that_there_are() -> None:
    """Each series in an expression is one of the metrics table with its labels, or recorded."""
    for rule in rules():
        assert metrics_of(rule["expr"], RECORDED), rule


def test_recorded_series_are_read() -> None:
    """No series is recorded that neither a rule nor a dashboard asks for."""
    readers = [rule["expr"] for rule in rules()]
    readers += [path.read_text() for path in (FOLDER / "dashboards").glob("*.json")]
    for name in RECORDED:
        assert any(name in reader for reader in readers), name


@each_alert
def test_each_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    """It has a severity, a summary, a description, and a runbook entry that says three things."""
    assert {"summary", "description", "runbook_url"} <= alert["annotations"].keys()
    assert alert["labels"]["severity"] in {"warning", "critical"}
    path, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    runbook = (ROOT / path).read_text()
    # A heading's anchor is its text in lower case.
    entries = dict(re.findall(r"^### (\w+)\n(.*?)(?=^#|\Z)", runbook, re.MULTILINE | re.DOTALL))
    assert anchor == alert["alert"].lower()
    for word in ("**Means.**", "**Look at.**", "**Do.**"):
        assert word in entries[alert["alert"]]


def test_each_runbook_entry_is_of_an_alert() -> None:
    """No entry outlives its alert."""
    runbook = (ROOT / "docs" / "operations.md").read_text()
    entries = set(re.findall(r"^### (Sentiment\w+)$", runbook, re.MULTILINE))
    assert entries == {alert["alert"] for alert in ALERTS}


@needs_promtool
def test_alerts_fire_when_they_should_and_only_then() -> None:
    """Promtool runs the rules over made series: each alert fires, and is quiet before."""
    done = promtool("test", "rules", "rules.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@each_alert
@pytest.mark.parametrize("wrong", ["vector(0) > 1", "vector(1)"], ids=["never", "always"])
def test_each_alert_is_tested(alert: dict[str, Any], wrong: str, tmp_path: Path) -> None:
    """The tests of the rules fail where an alert never fires, and where it always does."""
    document, tests = load("rules.yml"), load("rules.test.yml")
    for group in document["groups"]:
        for rule in group["rules"]:
            if rule.get("alert") == alert["alert"]:
                rule.update(expr=wrong)
                rule.pop("for", None)
    tests["tests"] = [test for test in tests["tests"] if f'"{alert["alert"]}"' in str(test)]
    for name, changed in (("rules.yml", document), ("rules.test.yml", tests)):
        (tmp_path / name).write_text(yaml.safe_dump(changed, sort_keys=False))
    done = promtool("test", "rules", str(tmp_path / "rules.test.yml"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert alert["alert"] in done.stdout + done.stderr
