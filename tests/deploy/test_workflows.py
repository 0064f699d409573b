"""The workflows of CI, by the programs that read them, and what they name."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sentiment import apps
from tests.processes import run

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github"
WORKFLOWS = sorted(FOLDER.glob("workflows/*.yml"))
BIN = Path(sys.executable).parent
# An action at a commit, with the version that it had when it was looked at.
PINNED = re.compile(r"uses: (\./\S+ .*|\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$")


def complaints(program: str, *arguments: str | Path) -> str:
    """What a program of the environment prints if it fails."""
    done = run(BIN / program, *arguments)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def steps() -> list[tuple[str, dict[str, Any]]]:
    """Every step of every job, with the name of its file."""
    found = []
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            found += [(path.name, step) for step in job.get("steps", [])]
    return found


TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_zizmor_finds_no_weakness() -> None:
    """No injection, no excessive right, no credential that stays, by a linter that knows them."""
    assert not complaints("zizmor", "--offline", "--no-progress", FOLDER)


@pytest.mark.parametrize(
    ("schema", "paths"),
    [("github-workflows", WORKFLOWS), ("dependabot", [FOLDER / "dependabot.yml"])],
)
def test_they_are_what_github_reads(schema: str, paths: list[Path]) -> None:
    """Each file keeps to GitHub's own schema."""
    assert paths
    assert not complaints("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *paths)


def test_actions_are_pinned_by_hash() -> None:
    """What somebody else may change under a tag does not run here."""
    uses = [
        line.strip().removeprefix("- ")
        for path in WORKFLOWS
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    assert len(uses) > 20
    assert not [line for line in uses if not PINNED.match(line)]


def test_one_action_has_one_version() -> None:
    """An action is updated everywhere or nowhere."""
    pairs = {
        tuple(found)
        for path in WORKFLOWS
        for found in re.findall(r"uses: (\S+)@(\S+)", path.read_text())
    }
    assert len(pairs) == len({name for name, _ in pairs})


def test_what_they_run_exists() -> None:
    """Make targets, requirements, commands of ours and files that steps name are there."""
    text = "\n".join(step.get("run", "") for _, step in steps())
    assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= TARGETS
    assert set(re.findall(r"^ *sentiment ([a-z]+)", text, re.MULTILINE)) <= set(apps.commands())
    names = set(re.findall(r"requirements/([a-z]+)\.txt", text))
    assert names
    assert not [name for name in names if not (ROOT / f"requirements/{name}.txt").exists()]
    for module in re.findall(r"python -m ([a-z_.]+)", text):
        root = module.split(".")[0]
        assert root == "pip" or (ROOT / f"{module.replace('.', '/')}.py").exists(), module


def test_every_check_is_a_make_target_that_ci_run_has_too() -> None:
    """What can fail a push fails on a laptop by the same command: `.ci/run` has all of it."""
    checks = {
        step["run"].removeprefix("make ").split()[0]
        for name, step in steps()
        if name == "ci.yml" and "run" in step and not step["run"].startswith("sudo apt-get ")
    }
    assert {"lint", "test", "audit"} <= checks <= TARGETS
    here = set(re.findall(r"^make ([a-z-]+)", (ROOT / ".ci/run").read_text(), re.MULTILINE))
    assert checks <= here


def test_scans_are_part_of_what_everybody_runs() -> None:
    """`make lint` looks for secrets, and `make audit` asks about what is installed."""
    for target, program in [("lint", "detect-secrets-hook"), ("audit", "tools.audit")]:
        assert program in run("make", "--dry-run", target, cwd=ROOT).stdout, target


def test_no_long_lived_key_is_used() -> None:
    """AWS is entered by GitHub's token alone; the one secret is the registry's, where it is one."""
    text = "".join(path.read_text() for path in WORKFLOWS)
    assert set(re.findall(r"secrets\.([A-Z_]+)", text)) == {"DAGSHUB_USER_TOKEN"}
    assert "aws-access-key-id" not in text
    for path in WORKFLOWS:
        # Each job says what it needs, and nothing is given to all of them.
        assert yaml.safe_load(path.read_text())["permissions"] == {}
