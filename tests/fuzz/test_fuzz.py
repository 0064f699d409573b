import subprocess
import sys
from ast import literal_eval
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fuzz import oracle

SEEDS = sorted((Path(__file__).parent / "seeds").iterdir())
# A few seconds each; the long searches are `make fuzz`.
RUNS = "20000"
MODELS = 60


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: path.name)
def test_seeds_are_read_as_the_standard_library_reads_them(seed: Path) -> None:
    """For each kept input the decoder and a second reading of it agree."""
    oracle.check(seed.read_bytes())


def test_seeds_reach_every_verdict() -> None:
    """The oracle has something to say: it accepts some, and refuses others for each reason."""
    verdicts = {oracle.expect(seed.read_bytes()) for seed in SEEDS}
    assert verdicts == {
        "accepted",
        "either",
        "empty_text",
        "invalid_utf8",
        "missing_text",
        "not_json",
        "not_object",
        "refused",
        "text_not_string",
    }


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this machine")
def test_a_short_search_finds_nothing(tmp_path: Path) -> None:
    """So many inputs, made from the seeds by a fixed seed, find no difference either."""
    arguments = ["--runs", RUNS, "--seed", "1", "--seconds", "0", "--folder", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"Done {RUNS} runs" in done.stderr


def test_a_short_search_finds_no_harmful_model(tmp_path: Path) -> None:
    """So many damaged models are refused, or serve; both happen, and the good ones serve."""
    arguments = ["--runs", str(MODELS), "--seed", "1", "--seconds", "0", "--folder", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.models", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    verdicts = literal_eval(done.stdout.splitlines()[-1].partition(" models ")[2])
    assert (verdicts["good: compiled"], verdicts["good: sklearn"]) == (3, 1)
    assert verdicts["refused"] + verdicts["compiled"] + verdicts["sklearn"] == MODELS
    assert verdicts["refused"] < MODELS
