"""Compiled models in processes of their own: ahead of time, from disk, with every index checked."""

import hashlib
import shutil
from pathlib import Path

import pytest

from local.settings import LocalSettings
from sentiment.model.compiled.scorer import CompiledScorer
from sentiment.registry.artifact import open_model
from sentiment.registry.publish import bundled_model
from tests.processes import python

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
from tests.integration.test_compiled_native import answers
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


def said_by(code: str, *arguments: str | Path, **environment: str) -> list[str]:
    """What a process of its own says."""
    done = python("-c", code, *arguments, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A directory with the module that is compiled ahead of time."""
    if not shutil.which("g++"):
        pytest.skip("there is no g++ to compile with")
    directory = tmp_path_factory.mktemp("native")
    done = python("-m", "sentiment.model.compiled.aot", directory)
    assert done.returncode == 0, done.stderr
    return str(directory)


def test_it_answers_as_numbas_own(made: str) -> None:
    """Every score, count and explanation is the same to the last bit; a model is compiled too."""
    scorer = open_model(bundled_model())
    assert isinstance(scorer, CompiledScorer)
    said = said_by(WITHOUT + ANSWER, PYTHONPATH=f"{made}:{Path.cwd()}")
    assert said == [scorer.kind, answers(scorer)]


def test_other_threads_run_while_it_does(made: str) -> None:
    """As a worker decodes one batch and commits another while it scores a third."""
    assert said_by(WITHOUT + THREADS, PYTHONPATH=made) == ["other", "native"]


def test_without_it_there_is_a_sentence_about_numba(tmp_path: Path) -> None:
    """Where neither is, an import says so, which the command makes a sentence of."""
    with pytest.raises(AssertionError, match="numba"):
        said_by(WITHOUT + ANSWER, PYTHONPATH=str(tmp_path))


# Opens the bundled model and says what it took.
OPEN = """
import sys
from pathlib import Path
from sentiment.registry.artifact import open_model
from sentiment.registry.publish import bundled_model
scorer = open_model(bundled_model(), Path(sys.argv[1]))
print(scorer.kind, scorer.score(["A fine film."])[0], "sklearn" in sys.modules)
"""


def test_no_start_needs_sklearn_or_a_place_for_native_code(tmp_path: Path) -> None:
    """The first start has it compiled elsewhere and keeps it; the next one answers alike.

    So does one whose Numba can write nowhere: it compiles for itself.
    """
    directory, nowhere = tmp_path / "models", tmp_path / "file"
    nowhere.touch()
    said = said_by(OPEN, directory)
    assert (said[0], said[2]) == ("compiled", "False")
    (file,) = directory.iterdir()
    made = file.stat().st_mtime_ns
    assert said_by(OPEN, directory) == said
    assert file.stat().st_mtime_ns == made
    assert said_by(OPEN, directory, NUMBA_CACHE_DIR=str(nowhere)) == said


# Beside Kafka's jars: the code with its checks, which takes a minute to compile. Each state of the
# package has a folder of its own there, as its code without them has elsewhere.
CHECKED_CODE = LocalSettings().cache_dir / "bounds-checked"

# Texts at the edges of the scratch: as many tokens as bytes, n-grams of all of them, nothing at
# all, and a long word; each as the only text, as the first and as the last of a batch.
CHECKED = """
from sentiment.registry.artifact import open_model
from sentiment.model.compiled.scorer import SCRATCH_BYTES
from sentiment.registry.publish import bundled_model
scorer = open_model(bundled_model())
full = SCRATCH_BYTES // 2
texts = ["", "!", "a " * full, ".," * full, "x" * SCRATCH_BYTES, "\\U0001f600" * (full // 2),
         "it 's n't @me <br />" * 99, "good film " * full, "sooo b\\xe0d\\u2019s \\ud800 " * 99]
for text in texts:
    scores = scorer.score([text]), scorer.score([text, "good", text])[::2]
    assert scores[0] == scores[1][0] == scores[1][1], text[:20]
    scorer.explain([text])
print(scorer.kind, scorer.score(["a good film"])[0])
"""


def test_no_index_is_out_of_its_array() -> None:
    """Numba's own check of every index finds nothing, on texts that fill the scratch."""
    environment = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(CHECKED_CODE)}
    kind, score = said_by(CHECKED, **environment)
    assert kind == "compiled"
    assert float(score) > 0.5
