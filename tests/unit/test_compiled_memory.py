"""The native loop stays inside its arrays: it runs here with every index checked."""

import os
import subprocess
import sys
from pathlib import Path

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


def test_no_index_is_out_of_its_array(tmp_path: Path) -> None:
    """Numba's own check of every index finds nothing, on texts that fill the scratch."""
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", CHECKED]
    process = subprocess.run(command, capture_output=True, check=False, text=True, env=environment)
    assert process.returncode == 0, process.stderr
    kind, score = process.stdout.split()
    assert kind == "compiled"
    assert float(score) > 0.5
