"""`python -m benchmarks.drift DATA`: what workers' drift metrics say of ordinary texts.

DATA has the files that params.yaml names. Each corpus is a stream by itself, which no model was
made for: its figures are what a limit must let pass. The bundled model is too sure of texts that it
has learnt, so scores and known tokens are those of its twin, which judged it and had not seen them;
the scores that a worker would give stand beside them.
"""

import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import bench
from sentiment.classify.score import Sample
from sentiment.model import drift
from sentiment.model.drift import LEAST_TEXTS
from sentiment.model.formats.mlmodel import metadata
from sentiment.model.text import tokens
from sentiment.registry.artifact import open_model
from sentiment.registry.publish import bundled_model
from sentiment.registry.registry import LoadedModel
from stream_worker.drift import MOST_TEXTS, Figures, Window
from trainer import params, reports, tables
from trainer.ingest import ingest
from trainer.preprocess import preprocess

ALL = "all of them"
# Windows drawn from all texts: enough for the largest of them to be a rare one.
DRAWN = 1000
SEED = 1


class Texts(NamedTuple):
    """Of each test text, what a model says of it; shape of each (texts,)."""

    scores: NDArray[np.float64]
    lengths: NDArray[np.int64]
    known: NDArray[np.int64]


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--output", type=Path, default=Path("build/drift.json"), show_default=True)
def main(*, data: Path, output: Path) -> None:
    """Measure each corpus, and how far chance moves a window."""
    learnt, asked, least = _texts(data)
    directory = bundled_model()
    if metadata(directory)["test_sha256"] != tables.digest(asked):
        raise click.ClickException("The bundled model was judged on other texts than these.")
    model = LoadedModel("sentiment", "bundled", open_model(directory), 0.0, drift.read(directory))
    texts = asked["text"].tolist()
    twin = Texts(
        reports.read_scores(directory / tables.EVALUATION / reports.SCORES, len(asked)),
        drift.sizes(model.scorer, texts).tokens,
        _known(learnt["text"].tolist(), texts, least),
    )
    served = twin._replace(scores=model.scorer.score(texts))
    found: dict[str, dict[str, object]] = {}
    columns = ("score PSI", "served", "length PSI", "unknown", "positive")
    print(f"{'':<20}{'texts':>8}" + "".join(f"{name:>12}" for name in columns))
    for name in [ALL, *sorted(asked["domain"].unique())]:
        chosen = np.flatnonzero((asked["domain"] == name) | (name == ALL))
        figures = _figures(model, twin, chosen)
        as_served = _figures(model, served, chosen).score_psi
        found[name] = {"texts": len(chosen), "served": as_served, **figures._asdict()}
        shown = (
            figures.score_psi, as_served, figures.length_psi,
            figures.unknown_token_share or 0.0, figures.positive_share,
        )  # fmt: skip
        print(f"{name:<20}{len(chosen):>8,}" + "".join(f"{value:>12.3f}" for value in shown))
    draw = np.random.default_rng(SEED)
    for size in (LEAST_TEXTS, MOST_TEXTS):
        drawn = [
            _figures(model, twin, draw.choice(len(asked), size, replace=False)).score_psi
            for _ in range(DRAWN)
        ]
        found[f"windows of {size}"] = {"mean": float(np.mean(drawn)), "largest": max(drawn)}
        print(f"score PSI of {DRAWN:,} windows of {size:,}: {np.mean(drawn):.3f}, {max(drawn):.3f}")
    bench.save(found, output)


def _texts(data: Path) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """The tables of training and test, and in how many texts of the first a known token is."""
    knobs = params.read(Path("params.yaml"))
    with tempfile.TemporaryDirectory() as work:
        raw, prepared = Path(work) / "raw", Path(work) / "prepared"
        ingest(knobs.ingest, data, raw)
        preprocess(knobs.preprocess, raw, prepared)
        learnt = tables.read(prepared / tables.TRAIN, "preprocess")
        asked = tables.read(prepared / tables.TEST, "preprocess")
    return learnt, asked, int(knobs.candidates[knobs.release].params["min_df"][0])


def _known(learnt: list[str], asked: list[str], least: int) -> NDArray[np.int64]:
    """How many tokens of each text a model knows that has learnt others alone."""
    seen = Counter(token for text in learnt for token in set(tokens(text)))
    return np.array([sum(seen[token] >= least for token in tokens(text)) for text in asked])


def _figures(model: LoadedModel, of: Texts, chosen: NDArray[np.int64]) -> Figures:
    assert model.reference  # noqa: S101 - the bundled model has one
    window = Window(model.reference)
    known = int(of.known[chosen].sum())
    # A text's number for its hash: there are no copies among them.
    window.add(Sample(model, of.scores[chosen], of.lengths[chosen], known, chosen.tolist()))
    return window.figures()


if __name__ == "__main__":
    main()
