"""Claims about what each image's app imports, from the code itself."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.deploy.dockerfile import ROOT, requirements
from tools.contracts import LIBRARY, packages

OURS = packages()[0] | {LIBRARY}
# Which module an image's command begins with, and its health check.
BEGIN = {
    "worker": ["stream_worker.command", "sentiment.registry.publish", "sentiment.commands.results"],
    "trends": ["stream_worker.trends.command", "sentiment.commands.results"],
    "web": ["web.command", "sentiment.commands.results"],
    "trainer": ["trainer.commands.stages", "trainer.register", "trainer.pipeline"],
    "mlflow": ["sentiment.healthcheck"],
}
# As programs, or by the commands in docker-compose.yml.
ALSO = {"mlflow": {"mlflow", "boto3"}, "trainer": {"dvc"}}

# What only makes native code, where an image brings none; see `sentiment.model.compiled.native`.
# The page takes no upload as Parquet.
SPARED = {"worker": {"llvmlite", "numba"}, "web": {"pyarrow"}}

# It reads files of everything that is installed.
installed = cache(packages_distributions)


def file_of(module: str) -> Path | None:
    """The file of one of our modules; None if there is none of that name."""
    base = ROOT / module.replace(".", "/")
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if file.is_file():
            return file
    return None


def imported(module: str) -> Iterator[str]:
    """All that a module imports at any time, but what only a type checker reads."""
    file = file_of(module)
    assert file is not None
    waiting: list[ast.AST] = [ast.parse(file.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def others(begin: list[str]) -> set[str]:
    """Top-level names of all that is not ours and not Python's, from modules on."""
    seen: set[str] = set()
    found: set[str] = set()
    waiting = [*begin, "sentiment.cli", "sentiment.healthcheck"]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        for name in imported(module):
            top = name.partition(".")[0]
            if top not in OURS:
                found.add(top)
            elif file_of(name):
                parents = name.split(".")
                waiting += [".".join(parents[:n]) for n in range(1, len(parents) + 1)]
    return found - sys.stdlib_module_names


def distributions(top: str) -> set[str]:
    """Which distributions bring a top-level name, as the index spells them."""
    return {re.sub(r"[-_.]+", "-", name).lower() for name in installed()[top]}


def locked(target: str) -> set[str]:
    """The names in a target's locked files."""
    text = "".join((ROOT / file).read_text() for file in requirements(target))
    return set(re.findall(r"^([a-z0-9][a-z0-9.-]*)==", text, re.MULTILINE))


@pytest.mark.parametrize("target", BEGIN)
def test_all_that_an_app_imports_is_in_its_image(target: str) -> None:
    """Each library that is imported at any time, lazily too, is in the target's locked files."""
    there = locked(target)
    needed = others(BEGIN[target]) - SPARED.get(target, set()) | ALSO.get(target, set())
    missing = {top for top in needed if not distributions(top) & there}
    assert not missing
    # The walk has found something: these two, everywhere but where there is nothing of ours.
    assert {"click", "structlog"} <= needed


def test_a_worker_has_nothing_heavy() -> None:
    """No data frames, no compiler, no trainer's library is in the worker's or the page's image."""
    heavy = {"pandas", "pyarrow", "matplotlib", "dvc", "nltk", "mlflow", "numba", "llvmlite"}
    for target in ("worker", "web", "trends"):
        assert not locked(target) & heavy
