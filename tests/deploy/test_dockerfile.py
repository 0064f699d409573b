"""Claims about the images, made of what the Dockerfile says and what hadolint says of it."""

import fnmatch
import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sentiment import apps, healthcheck
from tests.deploy.dockerfile import ROOT, chain, copies, environment, requirements, stages
from tests.processes import run

TARGETS = ("worker", "trends", "web", "trainer", "mlflow")

# What others read: the shell, Python, and the libraries that an image holds.
NOT_OURS = {
    "DVC_NO_ANALYTICS", "DVC_SITE_CACHE_DIR", "HOME", "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "PATH",
    "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONUNBUFFERED",
}  # fmt: skip


def known_settings() -> set[str]:
    """Every variable of the settings."""
    return {
        f"{section.model_config['env_prefix']}{name}".upper()
        for section in apps.sections()
        for name in section.model_fields
    }


def hadolint(dockerfile: Path) -> subprocess.CompletedProcess[str]:
    """What hadolint says, with the project's exceptions."""
    program = Path(sys.executable).parent / "hadolint"
    return run(program, "--config", ROOT / ".hadolint.yaml", dockerfile)


def test_hadolint_has_nothing_to_say(tmp_path: Path) -> None:
    """The Dockerfile follows its rules, but for some with a reason; an unpinned base is told."""
    done = hadolint(ROOT / "Dockerfile")
    assert done.returncode == 0, done.stdout
    said = (ROOT / ".hadolint.yaml").read_text().splitlines()
    assert all("#" in before for before, line in itertools.pairwise(said) if "- DL" in line)
    changed = tmp_path / "Dockerfile"
    changed.write_text((ROOT / "Dockerfile").read_text().replace("${PYTHON_IMAGE}", "python"))
    assert "DL3006" in hadolint(changed).stdout


@pytest.mark.parametrize("target", TARGETS)
def test_each_app_has_a_target_that_runs_confined(target: str) -> None:
    """A numeric user that is not root, tini as process 1, and health asked for or declined."""
    words = {word: rest for stage in chain(target) for word, rest in stage.instructions}
    assert words["USER"] == "10001:10001"
    assert words["ENTRYPOINT"] == '["tini", "--"]'
    assert (words["HEALTHCHECK"] == "NONE") == (target == "trainer")
    assert words["CMD"].startswith("[")
    assert "org.opencontainers.image.version" in " ".join(stages()["app"].all("LABEL"))


def test_a_health_check_says_what_is_wrong_before_docker_gives_up() -> None:
    """Our program's own wait ends within the one that each image allows."""
    asked = [rest for stage in stages().values() for rest in stage.all("HEALTHCHECK")]
    limits = [
        float(found[1]) for found in (re.search(r"--timeout=(\d+)s", it) for it in asked) if found
    ]
    assert len(limits) == len(TARGETS) - 1
    assert min(limits) > healthcheck.TIMEOUT_S


def test_every_target_is_an_app() -> None:
    """No other stage ships: all that are made from `app` are the targets."""
    assert tuple(name for name, stage in stages().items() if stage.base == "app") == TARGETS


def test_base_and_index_are_arguments() -> None:
    """Both can be others, the base is pinned, and no index's address reaches what is shipped."""
    head = (ROOT / "Dockerfile").read_text()
    image = re.search(r"^ARG PYTHON_IMAGE=(.*)$", head, re.MULTILINE)
    assert image
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", image[1])
    assert stages()["dependencies"].all("ARG") == ["PIP_INDEX_URL"]
    # Of what they install, only the environment is taken over.
    for target in TARGETS:
        assert "dependencies" not in [stage.name for stage in chain(target)]


@pytest.mark.parametrize("target", TARGETS)
def test_dependencies_are_those_of_the_lock(target: str) -> None:
    """Each target installs its own locked file with hashes, and every line of it has one."""
    files = requirements(target)
    assert files[0] == f"requirements/{target}.txt"
    for stage in stages().values():
        for line in stage.all("RUN"):
            assert "pip install" not in line or "--require-hashes" in line or "--no-index" in line
    for file in files:
        text = (ROOT / file).read_text()
        pinned = re.findall(r"^[a-z0-9].*==.*\\\n    --hash=sha256:", text, re.MULTILINE)
        assert pinned
        assert len(pinned) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {Path(file).stem for file in files} <= extras["optional-dependencies"].keys()


def test_all_that_is_copied_is_there() -> None:
    """Each source of a COPY is in the project and not kept from the builder, or is a stage's."""
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [rule for rule in rules if rule and not rule.startswith("#")]
    assert rules[0] == "*"
    known = stages()
    for stage in known.values():
        for taken_from, sources in copies(stage):
            if taken_from:
                assert taken_from in known
                continue
            for source in sources:
                assert (ROOT / source).exists()
                assert f"!{source.split('/')[0]}" in rules
                hidden = [rule for rule in rules[1:] if fnmatch.fnmatch(source, rule)]
                assert not hidden


@pytest.mark.parametrize("target", TARGETS)
def test_variables_are_known(target: str) -> None:
    """Each variable is one of the settings, or in the list of what others read."""
    own = environment(target).keys() - NOT_OURS
    assert own <= known_settings()
    assert {"LOG_FORMAT", "MODEL_CACHE_DIR"} <= own


def test_version_is_the_package_s() -> None:
    """The label's default is the version of the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"VERSION={project['version']}" in stages()["app"].all("ARG")
