"""The claim that each package says what is in it, in the order in which to read it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Not what a virtual environment or a benchmark keeps here.
TOPS = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"]
PACKAGES = sorted(path.parent for top in TOPS for path in top.rglob("__init__.py"))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_packages_map_is_its_folder(package: Path) -> None:
    """Its docstring lists every module and package in it once, a line each, and nothing else."""
    listed = re.findall(r"^- `(\w+)`: \S", ast.get_docstring(_tree(package)) or "", re.MULTILINE)
    modules = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    assert sorted(listed) == sorted(modules | packages)


def _tree(package: Path) -> ast.Module:
    return ast.parse((package / "__init__.py").read_text())
