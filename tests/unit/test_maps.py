"""Claims about packages: each says what is in it, is installed, and registers what it brings."""

import ast
import re
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from sentiment import apps
from tools.contracts import LIBRARY, packages

ROOT = Path(__file__).parents[2]
# Not what a virtual environment or a benchmark keeps here.
TOPS = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"]
PACKAGES = sorted(path.parent for top in TOPS for path in top.rglob("__init__.py"))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_packages_map_is_its_folder(package: Path) -> None:
    """Its docstring lists every module and package in it once, a line each, and nothing else."""
    listed = re.findall(r"^- `(\w+)`: \S", ast.get_docstring(_tree(package)) or "", re.MULTILINE)
    modules = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    assert sorted(listed) == sorted(modules | folders)


def test_the_wheel_has_every_app_and_nothing_else() -> None:
    """What is installed is the library and the packages that register, and no file beside them."""
    wheel = WheelBuilder(str(ROOT))
    installed = {Path(file.distribution_path).parts[0] for file in wheel.recurse_included_files()}
    assert installed == packages()[0] | {LIBRARY}


def test_nothing_is_left_unregistered() -> None:
    """Each section of settings and each table of metrics in the code is one of an app."""
    sections: set[str] = set()
    tables: set[str] = set()
    for package in (path.parent for path in ROOT.glob("*/__init__.py")):
        for path in package.rglob("*.py") if package.name != "tests" else ():
            text = path.read_text()
            sections |= set(re.findall(r"^class (\w+)\(Section\):", text, re.MULTILINE))
            tables |= set(re.findall(r'^\w+ = Metrics\("(\w+)"', text, re.MULTILINE))
    assert sections == {section.__name__ for section in apps.sections()}
    assert tables == {metric.app for metric in apps.metrics()}


def _tree(package: Path) -> ast.Module:
    return ast.parse((package / "__init__.py").read_text())
