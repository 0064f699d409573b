"""`python -m tests.fuzz`: search for bytes that the event decoder is wrong about."""

import argparse
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sentiment.wire", "tests.fuzz.oracle"]):
    from tests.fuzz.oracle import check

HERE = Path(__file__).parent
# Longer ones only repeat what shorter ones do, at a lower rate.
LONGEST = 2048


def main() -> None:
    """Search until the time or the number is over, or something is found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="how long; 0: by --runs alone")
    parser.add_argument("--runs", type=int, default=-1, help="how many inputs; -1: by time alone")
    parser.add_argument("--seed", type=int, default=0, help="of the search; 0: another each time")
    parser.add_argument(
        "--folder", type=Path, default=Path("build/fuzz"), help="keeps what was learnt and found"
    )
    given = parser.parse_args()
    corpus = given.folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={given.seconds}",
            f"-runs={given.runs}",
            f"-seed={given.seed}",
            f"-max_len={LONGEST}",
            f"-dict={HERE / 'json.dict'}",
            f"-artifact_prefix={given.folder}/",
            "-print_final_stats=1",
            str(corpus),
            str(HERE / "seeds"),
        ],
        check,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
