"""The options that every search has."""

import argparse
from pathlib import Path


def options(program: str, about: str | None, runs: str, folder: str) -> argparse.Namespace:
    """What was given, or the defaults, to a program that searches among so-called runs."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    parser.add_argument("--seconds", type=float, default=600, help="how long; 0: by --runs alone")
    parser.add_argument("--runs", type=int, default=-1, help=f"how many {runs}; -1: by time alone")
    parser.add_argument("--seed", type=int, default=0, help="of the search; 0: another each time")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help=folder)
    return parser.parse_args()
