"""Native code that was compiled ahead of time answers as Numba's own does, and needs no Numba."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sentiment.model.compiled.scorer import CompiledScorer
from sentiment.registry.artifact import open_model
from sentiment.registry.publish import bundled_model

TEXTS = [
    "", "!", "Not a bad word about it.", "a good film " * 999, "\u0130 don't :) \U0001f600 <br />",
    "sooo b\xe0d\u2019s " * 99, "good \ud800", "x" * 99_999,
]  # fmt: skip

# In the place of Numba is nothing, as in an image.
WITHOUT = """
import sys
sys.modules.update(numba=None, llvmlite=None)
from sentiment.registry.artifact import open_model
from sentiment.registry.publish import bundled_model
scorer = open_model(bundled_model())
"""

ANSWER = """
from tests.unit.test_compiled_aot import answers
print(scorer.kind, answers(scorer))
"""

# No thread gives way by itself here: the main one gets to run when the other lets it, or ends.
THREADS = """
import threading
import numpy as np
from sentiment.model.compiled import loop
from sentiment.model.compiled.scorer import new_scratch, padded
text, count = b"a good film and not a bad one " * 5, 99_999
data, sizes, scores = padded([text] * count), np.full(count, len(text)), np.empty(count)
scratch = new_scratch(len(text), int(scorer.table.options[loop.LONGEST]), len(scorer.table.columns))
order = []
def run():
    loop.score(data, sizes, scorer.table, scratch, scores)
    order.append("native")
sys.setswitchinterval(100)
thread = threading.Thread(target=run)
thread.start()
order.append("other")
thread.join()
print(*order)
"""


def answers(scorer: CompiledScorer) -> str:
    """All that a scorer says of the texts, to the last bit."""
    explained = scorer.explain(TEXTS)
    said = [scorer.score(TEXTS).tobytes(), scorer.coverage(TEXTS).tobytes()]
    said += [explained.scores.tobytes(), *(bytes(each or b"") for each in explained.explanations)]
    return hashlib.sha256(b"\n".join(said)).hexdigest()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the module."""
    if not shutil.which("g++"):
        pytest.skip("there is no g++ to compile with")
    directory = tmp_path_factory.mktemp("native")
    command = [sys.executable, "-m", "sentiment.model.compiled.aot", str(directory)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return directory


def run(script: str, *path: Path) -> list[str]:
    """What a process of its own says that has no Numba."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, "-c", WITHOUT + script]
    done = subprocess.run(command, capture_output=True, check=False, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_it_answers_as_numbas_own(made: Path) -> None:
    """Every score, count and explanation is the same to the last bit; a model is compiled too."""
    scorer = open_model(bundled_model())
    assert isinstance(scorer, CompiledScorer)
    assert run(ANSWER, made, Path.cwd()) == [scorer.kind, answers(scorer)]


def test_other_threads_run_while_it_does(made: Path) -> None:
    """As a worker decodes one batch and commits another while it scores a third."""
    assert run(THREADS, made) == ["other", "native"]


def test_without_it_there_is_a_sentence_about_numba(tmp_path: Path) -> None:
    """Where neither is, an import says so, which the command makes a sentence of."""
    with pytest.raises(AssertionError, match="numba"):
        run(ANSWER, tmp_path)
