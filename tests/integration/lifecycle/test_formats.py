"""The claim that a model of another package's format goes all the way to `champion`."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from sentiment.registry.registry import Registry
from sentiment.settings import ModelSettings
from tests.integration.lifecycle.steps import champion, tags
from tests.integration.other_format import FLAVOUR, MODULE, install, weights
from tests.unit.small_models import FEW, knobs, make_texts
from trainer import tables
from trainer.evaluate import compare, evaluate
from trainer.ingest import ingest
from trainer.params import Preprocess, Promote
from trainer.preprocess import preprocess
from trainer.promote import promote
from trainer.register import register
from trainer.release import release
from trainer.train import train

# MLflow's own, when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")

# Speed is no claim of a test.
GATES = Promote(min_metric=0.6, min_speed_share=0.001, max_behaviour_loss=1)


def registered(folder: Path, **params: object) -> str:
    """Take a candidate of that format through all stages up to the registry; gives its version."""
    made = knobs("small", f"{MODULE}:Counted", **params)
    learnt, asked = (
        tables.read(folder / tables.PREPARED / name, "preprocess")
        for name in (tables.TRAIN, tables.TEST)
    )
    model = train("small", made, learnt, folder / tables.MODELS)
    evaluate("small", model, asked, learnt, FEW, output=folder / tables.EVALUATION)
    compare(["small"], asked, FEW, folder / tables.EVALUATION)
    return register(
        release(
            made,
            data=folder / tables.PREPARED,
            raw=folder / tables.RAW,
            evaluation=folder / tables.EVALUATION,
            output=folder / tables.RELEASE,
        )
    )


def test_a_format_without_a_compiled_form_passes_the_gates(
    client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through all stages, the gates alone promote it: as the only model, then as a better one."""
    install(tmp_path / "site", monkeypatch)
    folder = tmp_path / "project"
    folder.mkdir()
    made = knobs("small", f"{MODULE}:Counted")
    make_texts(1000, seed=1)[["text", "label"]].to_csv(folder / "made.csv", index=False)
    ingest(made.ingest, folder, folder / tables.RAW)
    preprocess(Preprocess(test_share=0.3), folder / tables.RAW, folder / tables.PREPARED)
    test = tables.read(folder / tables.PREPARED / tables.TEST, "preprocess")
    worker = Registry(ModelSettings(cache_dir=tmp_path / "cache"))

    poor = registered(folder, only=sorted(weights()))
    decision = promote(params=GATES, evaluate=FEW)
    assert not decision.reasons
    assert worker.load_champion().scorer.kind == FLAVOUR
    card = (folder / tables.RELEASE / tables.CARD).read_text(encoding="utf-8")
    assert "Served by the library of its format. Models of the format 'words'" in card

    good = registered(folder)
    decision = promote(params=GATES, evaluate=FEW, test=test)
    assert not decision.reasons
    assert (decision.promoted, decision.forced, decision.champion) == (True, "", poor)
    assert [check.gate for check in decision.checks if check.skipped] == ["compiled"]
    assert champion() == good
    assert worker.load_champion().scorer.score(["superb"])[0] > 0.5
    run = client.get_run(client.get_model_version("sentiment", good).run_id or "")
    assert int(run.data.params["words"]) > len(weights())
    assert "compiled: models of the format 'words'" in tags(client, good)["sentiment.decision"]
