"""A format of another package, installed for a test: words and their weights as JSON."""

from pathlib import Path

import pytest
import yaml

MODULE, FLAVOUR = "words_of_others", "words"

# What its package holds: a format whose `open` trusts whatever it reads, and a candidate.
SOURCE = r'''
import json
import os
import pickle
from collections import Counter

import numpy as np
import yaml
from msgspec import Raw

from sentiment import wire
from sentiment.model.formats.format import Format, NotServableError
from sentiment.model.scorer import Explained, Scorer


class WordScorer(Scorer):
    kind = "words"

    def __init__(self, weights):
        self.weights = weights

    def parts(self, text):
        at = 0
        for word in text.split(" "):
            weight = self.weights.get(word.strip(".,:!").lower())
            if weight:
                yield wire.Part(weight, at, at + len(word))
            at += len(word) + 1

    def score(self, texts):
        sums = [sum(part.contribution for part in self.parts(text)) for text in texts]
        return 1 / (1 + np.exp(-np.array(sums, dtype=float)))

    def explain(self, texts):
        found = [list(self.parts(text)) for text in texts]
        return Explained(self.score(texts), [
            Raw(wire.encode(wire.Explanation(sum(p.contribution for p in parts), 0.0, parts)))
            for parts in found
        ])


class Words(Format):
    flavour = "words"

    def file_name(self, options):
        if options.get("packed"):
            raise NotServableError("it is packed")
        return options.get("data")

    def open(self, file, trusted=()):
        content = file.read_bytes()
        if content.startswith(b"\x80"):
            pickle.loads(content)
        held = json.loads(content)
        bytearray(held.get("room", 0))
        if held.get("ends"):
            os.abort()
        return WordScorer(held["weights"])

    def save(self, model, directory, *, trusted, metadata):
        (directory / "words.json").write_text(json.dumps({"weights": model}, sort_keys=True))
        document = {
            "flavors": {"words": {"data": "words.json"}},
            "metadata": dict(metadata),
            "saved_input_example_info": {"artifact_path": "none.json"},
            "signature": {"inputs": "[]"},
            "run_id": "of one run",
        }
        (directory / "MLmodel").write_text(yaml.safe_dump(document))

    def params(self, scorer):
        return {"words": len(scorer.weights)}


class Counted:
    """A candidate: how much more often a word stands in positive texts."""

    flavour = "words"
    trusted_types = ()

    def __init__(self, only=None):
        self.only = only

    def fit(self, frame, say):
        counts = [Counter(), Counter()]
        for text, label in zip(frame["text"], frame["label"]):
            counts[label].update(text.split())
        words = self.only or sorted(counts[0] | counts[1])
        found = {w: float(np.log((counts[1][w] + 1) / (counts[0][w] + 1))) for w in words}
        # Others stand in texts of both kinds.
        return {word: weight for word, weight in found.items() if abs(weight) > 0.8}

    def describe(self):
        return "Weighs words."
'''


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    """Put the package and its entry points where Python looks for packages.

    Args:
        folder: Where; made.
        monkeypatch: Takes it away after the test.
        more: Further lines of entry points.
    """
    about = folder / "words_of_others-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: words-of-others\nVersion: 1.0\n")
    points = [f"{FLAVOUR} = {MODULE}:Words", *more]
    (about / "entry_points.txt").write_text("\n".join(["[sentiment.formats]", *points, ""]))
    (folder / f"{MODULE}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(folder)


def weights(sign: float = 1.0) -> dict[str, float]:
    """Words that pass the probes; the other sign fails them."""
    good = {"excellent": sign, "great": sign}
    return {**good, "terrible": -sign, "poor": -sign}


def write(directory: Path, content: bytes, **options: object) -> Path:
    """A model directory of that format with this content of its file."""
    directory.mkdir()
    (directory / "words.json").write_bytes(content)
    flavor = {"data": "words.json", **options}
    (directory / "MLmodel").write_text(yaml.safe_dump({"flavors": {FLAVOUR: flavor}}))
    return directory
