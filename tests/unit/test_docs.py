"""Claims about generated files: the documents of the wire and the API, the chart's, dashboards."""

import re
import shutil
import subprocess
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


def test_what_documents_name_is_there() -> None:
    """Each test and each file of code that a document names exists."""
    listed = subprocess.run(
        ["git", "ls-files"],  # noqa: S607 - whichever git the developer has
        capture_output=True, check=True, cwd=docs.ROOT, text=True,
    ).stdout.split()  # fmt: skip
    tests = [docs.ROOT / name for name in listed if re.fullmatch(r"tests/.*\.py", name)]
    claims = set(re.findall(r"def (test_\w+)", "".join(file.read_text() for file in tests)))
    known = claims | {file.stem for file in tests}
    for name in listed:
        if not re.fullmatch(r"docs/\w[\w-]*\.md|README.md|CONTRIBUTING.md", name):
            continue
        text = (docs.ROOT / name).read_text(encoding="utf-8")
        assert set(re.findall(r"\b(test_[a-z]\w+)", text)) <= known, name
        files = re.findall(r"`((?:docs|k8s|sentiment|tests|tools|trainer|web)/[\w/]+\.\w+)`", text)
        # `NAME` stands for what a reader chooses.
        assert {file for file in files if "NAME" not in file} <= set(listed), name
