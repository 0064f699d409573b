"""What the benchmark's peers import is in their locked requirements: read, not run."""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from benchmarks import candidates

OURS = {"benchmarks", "local", "sentiment", "stream_worker", "tests"}
# What only a call imports that no peer makes: it serves the bundled model, and asks no registry.
NEVER_CALLED = {"mlflow", "requests", "urllib3"}


def file_of(module: str) -> Path | None:
    """The file of a module of ours; none if it is a name within one."""
    path = candidates.ROOT / module.replace(".", "/")
    return next((f for f in (path.with_suffix(".py"), path / "__init__.py") if f.exists()), None)


def imports(node: ast.AST) -> Iterator[str]:
    """Every module that a file imports, also within functions; not those for type checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.module, "imports are absolute"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        else:
            yield from imports(child)


@cache
def imported(file: Path) -> tuple[str, ...]:
    """The same of a file."""
    return tuple(imports(ast.parse(file.read_text())))


@cache
def reached(root: str) -> dict[str, str]:
    """Packages of others that a module needs, through any module of ours, and who imports each."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    waiting = [(root, root)]
    while waiting:
        module, by = waiting.pop()
        package = module.split(".")[0]
        if package not in OURS:
            if package not in sys.stdlib_module_names:
                found.setdefault(package, by)
            continue
        names = module.split(".")
        # The packages around it run first.
        for name in (".".join(names[:end]) for end in range(1, len(names) + 1)):
            if name not in seen and (file := file_of(name)):
                seen.add(name)
                waiting += [(other, name) for other in imported(file)]
    return found


def canonical(name: str) -> str:
    """A distribution's name as requirements have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def programs(name: str) -> list[str]:
    """What runs in a peer's environment."""
    folders = ("benchmarks.peers", "tests.chaos.peers")
    return [
        f"{f}.{end}" for f in folders for end in (name, f"{name}_submit") if file_of(f"{f}.{end}")
    ]


def test_imports_are_walked_through_modules_of_ours() -> None:
    """What a peer imports by way of three of our modules, or within a function, is found."""
    found = reached("benchmarks.peers.job")
    assert found["confluent_kafka"].startswith("sentiment.")
    assert {"msgspec", "skops", "numba", "structlog"} <= set(found)


@pytest.fixture(scope="module")
def distributions() -> Mapping[str, list[str]]:
    """Those of each package, as the environment of the tests knows them."""
    return packages_distributions()


@pytest.mark.parametrize("name", candidates.NAMES)
def test_what_a_peer_imports_is_locked(name: str, distributions: Mapping[str, list[str]]) -> None:
    """Each package that a peer's program can reach has a version and hashes in its requirements."""
    text = (candidates.ROOT / "requirements" / "peers" / f"{name}.txt").read_text()
    locked = set(re.findall(r"^([a-z0-9.-]+)==", text, re.MULTILINE))
    assert programs(name)
    for program in programs(name):
        for package, by in reached(program).items():
            # What only a peer has is named as it is imported.
            given = {canonical(each) for each in distributions.get(package, [package])}
            held = given & locked
            assert held or package in NEVER_CALLED, f"{by} imports {package}; {name} lacks it"


def test_what_is_never_called_is_still_imported() -> None:
    """An exception that nothing needs any more is none."""
    assert set(reached("benchmarks.peers.job")) >= NEVER_CALLED
