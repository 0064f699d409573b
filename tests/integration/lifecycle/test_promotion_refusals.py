"""Claims about promotion where something is missing, broken or moves meanwhile."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from numpy.typing import NDArray

from sentiment.errors import InputError, ModelError, ModelNotFoundError
from sentiment.model.formats.scikit_learn import SklearnScorer
from sentiment.registry.publish import bundled_model, publish
from tests.integration.lifecycle.steps import (
    BETTER,
    TEST,
    champion,
    files_of,
    judged,
    tags,
)
from tests.integration.releases import release, scores, table
from trainer import params
from trainer.register import register

# MLflow's own, when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")


def test_champion_that_moves_meanwhile_stays_moved(
    client: MlflowClient, registered: Callable[..., str]
) -> None:
    """When somebody else promotes while we compare, our decision is void and theirs stays."""
    judged(registered())
    theirs, ours = registered(BETTER), registered(BETTER)

    def interfere(line: str) -> None:
        if "resamplings" in line:
            client.set_registered_model_alias("sentiment", "champion", theirs)

    with pytest.raises(ModelError, match="moved from version 1 to version 2 meanwhile"):
        judged(say=interfere)
    assert champion() == theirs
    assert "sentiment.promoted_at" not in tags(client, ours)


def test_both_are_told_who_promote_in_the_same_moment(
    registered: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A move by somebody else between our look and our own is told after it."""
    judged(registered())
    theirs, ours = registered(BETTER), registered(BETTER)
    set_alias = MlflowClient.set_registered_model_alias

    def race(self: MlflowClient, name: str, alias: str, version: str) -> None:
        set_alias(self, name, alias, version)
        set_alias(self, name, alias, theirs)

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", race)
    with pytest.raises(ModelError, match="somebody else set it to version 2 at the same moment"):
        judged(ours)


def test_wrong_table_or_none_is_wrong_use(
    registered: Callable[..., str], client: MlflowClient
) -> None:
    """Comparing needs the table of the challenger's evaluation; without it nothing is decided."""
    judged(registered())
    version = registered(BETTER)
    for test, message in ((None, "is needed"), (table(seed=7), "another test table")):
        with pytest.raises(InputError, match=message):
            judged(test=test)
    assert "sentiment.decision" not in tags(client, version)
    with pytest.raises(InputError, match="champion already"):
        judged("1")
    with pytest.raises(ModelNotFoundError):
        judged("7")
    with pytest.raises(ModelNotFoundError):
        judged("no-such-alias")


def test_what_a_worker_refuses_is_not_even_forced(
    client: MlflowClient, registered: Callable[..., str]
) -> None:
    """A version whose files changed after it was registered is refused, by force too."""
    judged(registered())
    version = registered(BETTER)
    files_of(client, version, "MODEL_CARD.md").write_text("forged")
    decision = judged(force="in a hurry")
    assert not decision.promoted
    (reason,) = decision.reasons
    assert "not those that were published" in reason
    assert champion() == "1"


def test_broken_champion_is_replaced_by_force_alone(
    client: MlflowClient, registered: Callable[..., str]
) -> None:
    """Where the champion can't be opened nothing can be compared: refused, with that as reason."""
    judged(registered())
    version = registered(BETTER)
    files_of(client, "1", "model.skops").write_bytes(b"broken")
    (reason,) = judged().reasons
    assert reason.startswith("metric: the champion can't be compared with")
    assert judged(force="the champion is broken").promoted
    assert champion() == version


def test_version_without_evaluation_is_refused(client: MlflowClient, tmp_path: Path) -> None:
    """A version that was published without an evaluation passes no gates."""
    directory = tmp_path / "model"
    shutil.copytree(bundled_model(), directory, ignore=shutil.ignore_patterns("evaluation"))
    version = publish(directory, alias="challenger")
    (reason,) = judged().reasons
    assert reason == "evaluation: it was registered without one"
    assert tags(client, version)["sentiment.decision"].startswith("refused: evaluation")


def test_compiled_form_is_compared_again(
    registered: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiled form that differs from scikit-learn here and now is refused, whatever the report
    says.
    """  # noqa: D205 - one claim

    def shifted(self: SklearnScorer, texts: Sequence[str]) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = self.pipeline.predict_proba(texts)[:, 1] + 1e-6
        return scores

    registered()
    monkeypatch.setattr(SklearnScorer, "score", shifted)
    (reason,) = judged().reasons
    assert reason.startswith(
        "compiled: differs from scikit-learn by 0.0e+00 in the report and 1.0e-06"
    )


def test_champion_of_another_table_is_asked_anew(
    tmp_path: Path, registered: Callable[..., str]
) -> None:
    """A champion that was evaluated on other texts scores these now, and that is said."""
    other = table(seed=5)
    judged(register(release(tmp_path / "other", other, scores(other, film=0.7))), test=None,
           params=params.Promote(min_metric=0.5))  # fmt: skip
    registered(scores(TEST, film=0.9))
    said: list[str] = []
    decision = judged(say=said.append)
    # Its stored scores would have lost; the model itself is right on all of these texts.
    (lost,) = [check for check in decision.checks if check.gate == "metric"]
    assert "gain in macro_accuracy -0.0500" in lost.reason
    assert any("may have seen some of the texts" in line for line in said)
    assert champion() == "1"


def test_champion_without_evaluation_is_asked_anew(registered: Callable[..., str]) -> None:
    """The bundled model, which carries no evaluation, is compared with all the same; what it does
    better with made sentences counts.
    """  # noqa: D205 - one claim
    publish(bundled_model())
    registered(BETTER)
    decision = judged()
    assert "behaviours" in {reason.split(":")[0] for reason in decision.reasons}
    assert champion() == "1"
