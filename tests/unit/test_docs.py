"""Claims about generated files: the documents of the wire and the API, the chart's, dashboards."""

import re
import shutil
from pathlib import Path

import pytest

from tools import docs


def test_files_are_those_of_the_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is in the tree is what the code generates, whatever this machine's settings are."""
    for name in ("WEB_MAX_BATCH", "TOPICS_PARTITIONS"):
        monkeypatch.setenv(name, "9")
    monkeypatch.setenv("TOPICS_EVENTS", "other")
    assert docs.main(["--check"]) == 0, capsys.readouterr().err


def test_check_names_what_is_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed, a missing and a left-over file are each named, and writing mends all three."""
    for name in docs.files():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(docs.ROOT / name, tmp_path / name)
    chart = "helm/sentiment-stream/values.yaml"
    shutil.copy(docs.ROOT / chart, tmp_path / chart)
    assert docs.main(["--check"], tmp_path) == 0
    changed = ("docs/openapi.yaml", "k8s/strimzi/users.yaml", "observability/dashboards/model.json")
    for name in changed:
        (tmp_path / name).write_text("1\n")
    operations = tmp_path / "docs/operations.md"
    operations.write_text(operations.read_text().replace("| worker |", "| clerk |", 1))
    (tmp_path / "docs/schemas/Tally.json").unlink()
    (tmp_path / "docs/schemas/Old.json").write_text("{}")
    assert docs.main(["--check"], tmp_path) == 1
    named = re.findall(r"(\S+) is stale: run `make docs`", capsys.readouterr().err)
    missing = ("docs/schemas/Old.json", "docs/schemas/Tally.json")
    assert named == sorted([*changed, "docs/operations.md", *missing])
    assert docs.main([], tmp_path) == 0
    assert docs.main(["--check"], tmp_path) == 0
