"""How the code is cut: `python -m tools.layout` counts it, `--list` names what is counted.

Measured are the modules that git knows, beside tests and the benchmark's peers:

- modules, and their lines
- modules that a single other one imports, where that one might hold them
- modules below 40 lines
- file names that stand in more than one folder

Entry points (`__main__`) and the faces of packages (`__init__`) are in the first figure alone.
"""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

SHORT = 40
APART = ("tests/", "benchmarks/peers/")
ENTRIES = {"__init__.py", "__main__.py"}


def main(arguments: list[str]) -> int:
    """Print the figures, and with `--list` the modules behind them."""
    listing = subprocess.run(
        ["git", "ls-files", "*.py"],  # noqa: S607 - whichever git the developer has
        capture_output=True,
        text=True,
        check=True,
    )
    everything = [Path(name) for name in listing.stdout.split()]
    paths = [path for path in everything if not str(path).startswith(APART)]
    sizes = {path: len(path.read_text().splitlines()) for path in everything}
    importers = _importers(paths)
    modules = [path for path in paths if path.name not in ENTRIES]
    single = [path for path in modules if len(importers[path]) == 1]
    short = [path for path in modules if sizes[path] < SHORT]
    names = defaultdict(list)
    for path in modules:
        names[path.name].append(path)
    repeated = {name: found for name, found in names.items() if len(found) > 1}
    tests = [path for path in everything if str(path).startswith("tests/")]

    print(f"{len(paths):6,} modules")  # noqa: T201 - a program that prints
    print(f"{sum(sizes[path] for path in paths):6,} lines in them")  # noqa: T201
    print(f"{sum(sizes[path] for path in tests):6,} lines of tests")  # noqa: T201
    print(f"{len(single):6,} modules with a single importer")  # noqa: T201
    print(f"{len(short):6,} modules below {SHORT} lines")  # noqa: T201
    print(f"{len(repeated):6,} file names used more than once")  # noqa: T201
    if arguments == ["--list"]:
        for path in single:
            [importer] = importers[path]
            print(f"one importer: {path} ({sizes[path]}) <- {importer}")  # noqa: T201
        for path in short:
            print(f"short: {path} ({sizes[path]})")  # noqa: T201
        for name, found in sorted(repeated.items()):
            print(f"{name}: {', '.join(map(str, found))}")  # noqa: T201
    return 0


def _importers(paths: list[Path]) -> dict[Path, set[Path]]:
    """For each module the others that import it, wherever in their code."""
    modules = {_dotted(path): path for path in paths}
    found: dict[Path, set[Path]] = defaultdict(set)
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                names.append(node.module or "")
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                if (target := modules.get(name)) and target != path:
                    found[target].add(path)
    return found


def _dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
