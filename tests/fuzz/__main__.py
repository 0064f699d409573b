"""`python -m tests.fuzz`: search for bytes that the event decoder is wrong about."""

import sys
from pathlib import Path

import atheris

from tests.fuzz.options import options

with atheris.instrument_imports(include=["sentiment.wire", "tests.fuzz.oracle"]):
    from tests.fuzz.oracle import check

HERE = Path(__file__).parent
# Longer ones only repeat what shorter ones do, at a lower rate.
LONGEST = 2048


def main() -> None:
    """Search until the time or the number is over, or something is found."""
    given = options("tests.fuzz", __doc__, "inputs", "keeps what was learnt and found")
    corpus = given.folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={given.seconds:.0f}",
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
