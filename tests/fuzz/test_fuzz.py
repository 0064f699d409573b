from ast import literal_eval
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fuzz import oracle
from tests.processes import python

SEEDS = sorted((Path(__file__).parent / "seeds").iterdir())
# A few seconds each; the long searches are `make fuzz`.
RUNS = "20000"
MODELS = "60"
FIXED = ("--seed", "1", "--seconds", "0", "--folder")


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: path.name)
def test_seeds_are_read_as_the_standard_library_reads_them(seed: Path) -> None:
    """For each kept input the decoder and a second reading of it agree."""
    oracle.check(seed.read_bytes())


def test_seeds_reach_every_verdict() -> None:
    """The oracle has something to say: it accepts some, and refuses others for each reason."""
    verdicts = {oracle.expect(seed.read_bytes()) for seed in SEEDS}
    assert verdicts == {
        *("accepted", "either", "refused", "empty_text", "invalid_utf8", "missing_text"),
        *("not_json", "not_object", "text_not_string"),
    }


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this machine")
def test_a_short_search_finds_nothing(tmp_path: Path) -> None:
    """So many inputs, made from the seeds by a fixed seed, find no difference either."""
    done = python("-m", "tests.fuzz", "--runs", RUNS, *FIXED, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"Done {RUNS} runs" in done.stderr


def test_a_short_search_finds_no_harmful_model(tmp_path: Path) -> None:
    """So many damaged models are refused, or serve; both happen, and the good ones serve."""
    done = python("-m", "tests.fuzz.models", "--runs", MODELS, *FIXED, tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    verdicts = literal_eval(done.stdout.splitlines()[-1].partition(" models ")[2])
    assert (verdicts["good: compiled"], verdicts["good: sklearn"]) == (3, 1)
    assert verdicts["refused"] + verdicts["compiled"] + verdicts["sklearn"] == int(MODELS)
    assert verdicts["refused"] < int(MODELS)
