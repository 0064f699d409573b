"""Write the dashboards, or with `--check` only compare."""

import json
import sys
from pathlib import Path

from observability.grafana import model, page, throughput
from observability.grafana.board import render

FOLDER = Path(__file__).parents[1] / "dashboards"
BOARDS = (throughput.BOARD, model.BOARD, page.BOARD)


def files() -> dict[Path, str]:
    """Each dashboard's file and what belongs into it."""
    return {
        FOLDER / f"{board.name}.json": json.dumps(render(board), indent=2) + "\n"
        for board in BOARDS
    }


def main() -> int:
    """Write the dashboards, or with `--check` only compare. Returns the exit code."""
    wanted = files()
    if "--check" not in sys.argv:
        for path, text in wanted.items():
            path.write_text(text)
        return 0
    present = {path: path.read_text() for path in FOLDER.glob("*.json")}
    for path in sorted(present.keys() | wanted.keys()):
        if present.get(path) != wanted.get(path):
            sys.stderr.write(f"{path.name} is stale: run `make docs`.\n")
    return int(present != wanted)


if __name__ == "__main__":
    sys.exit(main())
