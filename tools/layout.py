"""How the code is cut: `python -m tools.layout` counts it, `--list` names what is counted.

Measured are the modules that git knows, beside tests and the benchmark's peers. Entry points
(`__main__`) and the faces of packages (`__init__`) are in the first figure alone.
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

    figures = {
        "modules": len(paths),
        "lines in them": sum(sizes[path] for path in paths),
        "lines of tests": sum(sizes[path] for path in tests),
        "modules with a single importer": len(single),
        f"modules below {SHORT} lines": len(short),
        "file names used more than once": len(repeated),
    }
    told = [f"{figure:6,} {name}" for name, figure in figures.items()]
    if arguments == ["--list"]:
        told += [
            f"one importer: {path} ({sizes[path]}) <- {one}"
            for path in single
            for one in importers[path]
        ]
        told += [f"short: {path} ({sizes[path]})" for path in short]
        told += [
            f"{name}: {', '.join(map(str, found))}" for name, found in sorted(repeated.items())
        ]
    print("\n".join(told))  # noqa: T201 - a program that prints
    return 0


def _importers(paths: list[Path]) -> dict[Path, set[Path]]:
    """For each module the others that import it, wherever in their code."""
    dotted = (".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths)
    modules = dict(zip(dotted, paths, strict=True))
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
