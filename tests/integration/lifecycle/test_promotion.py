"""Claims about promotion and rollback: what moves the alias, and what is written down of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from sentiment.errors import InputError, ModelNotFoundError, ModelRefusedError
from sentiment.registry.publish import MAX_TAG
from sentiment.registry.registry import Registry
from sentiment.settings import ModelSettings
from tests.integration.lifecycle.steps import (
    BETTER,
    TEST,
    WORSE,
    chain,
    champion,
    files_of,
    judged,
    params_file,
    run,
    tags,
)
from tests.integration.releases import scores
from trainer import promote as audit
from trainer.commands.models import promote as promote_command
from trainer.promote import rollback
from trainer.register import register_bundled

# MLflow's own, when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")


def test_first_champion_needs_the_least_figure(
    client: MlflowClient, registered: Callable[..., str]
) -> None:
    """Without a champion the main metric must reach its least; comparisons are said to be skipped,
    and no test table is needed.
    """  # noqa: D205 - one claim
    poor = registered(scores(TEST, film=0.7, tweets=0.6))
    decision = judged(test=None)
    assert not decision.promoted
    assert decision.reasons == [
        "metric: macro_accuracy is 0.6500; the first champion needs at least 0.8"
    ]
    with pytest.raises(ModelNotFoundError):
        champion()
    assert tags(client, poor)["sentiment.decision"].startswith("refused: metric: macro_accuracy")
    good = registered()
    decision = judged(test=None)
    assert decision.promoted
    assert [check.gate for check in decision.checks if check.skipped] == [
        "domains", "behaviours", "speed",
    ]  # fmt: skip
    assert champion() == good


def test_life_of_a_champion(
    client: MlflowClient, registered: Callable[..., str], tmp_path: Path
) -> None:
    """A better challenger takes over and workers follow; one command takes it back; the trail tells
    who, when and why.
    """  # noqa: D205 - one claim
    worker = Registry(ModelSettings(cache_dir=tmp_path / "cache"))
    judged(registered())
    assert worker.load_champion().version == "1"
    registered(BETTER)
    decision = judged()
    assert decision.promoted
    assert decision.champion == "1"
    assert not [check for check in decision.checks if check.skipped]
    assert worker.load_champion().version == "2"
    told = tags(client, "2")
    assert told["sentiment.promoted_from"] == "1"
    assert told["sentiment.promoted_at"].endswith("+00:00")
    assert told["sentiment.promoted_by"] == audit.who()
    assert "metric: gain in macro_accuracy +0.1500" in told["sentiment.decision"]

    undone = rollback()
    assert (undone.version, undone.replaced) == ("1", "2")
    assert worker.load_champion().version == "1"
    assert "sentiment.rolled_back_at" in tags(client, "2")
    moves = audit.history(client, "sentiment")
    assert [(move.action, move.origin, move.target) for move in moves] == [
        ("promote", None, "1"), ("promote", "1", "2"), ("rollback", "2", "1"),
    ]  # fmt: skip


def test_refusal_gives_every_reason_and_changes_nothing(
    client: MlflowClient, registered: Callable[..., str], tmp_path: Path
) -> None:
    """Each gate that says no is told with its figures; the exit code is 1; the champion stays."""
    judged(registered())
    worse = registered(WORSE, compiled_difference=None, not_compiled="an unknown step")
    tables_folder = tmp_path / "prepared"
    tables_folder.mkdir()
    TEST.to_parquet(tables_folder / "test.parquet")
    file = params_file(tmp_path, {"max_size_mb": 0.001}, evaluate={"bootstrap": 200})
    arguments = ("--params", file, "--data", tables_folder)
    before = tags(client, worse)
    looked = run(promote_command, *arguments, "--dry-run")
    assert looked.exit_code == 1
    assert tags(client, worse) == before
    result = run(promote_command, *arguments)
    assert result.exit_code == 1, result.output
    lines = result.stdout.splitlines()
    failed = {line.split()[1]: line for line in lines if line.startswith("FAIL")}
    assert set(failed) == {"metric", "domains", "compiled", "size"}
    assert "gain in macro_accuracy -0.0500" in failed["metric"]
    assert "film 0.9000 to 0.6000" in failed["domains"]
    assert "tweets" not in failed["domains"]
    assert "an unknown step" in failed["compiled"]
    assert "allowed are 0.001" in failed["size"]
    assert "version 1 stays: 4 of" in lines[-1]
    assert champion() == "1"
    assert "film 0.9000 to 0.6000" in tags(client, worse)["sentiment.decision"]
    assert len(audit.history(client, "sentiment")) == 1

    told = run(promote_command, *arguments, "--json")
    assert told.exit_code == 1
    document = json.loads(told.stdout)
    assert (document["passed"], document["promoted"], document["champion"]) == (False, False, "1")
    assert len([check for check in document["checks"] if not check["passed"]]) == 4

    forced = run(promote_command, *arguments, "--force", "films are out of use")
    assert forced.exit_code == 0, forced.output
    assert champion() == worse
    (*_, last) = audit.history(client, "sentiment")
    assert (last.action, last.reason) == ("force", "films are out of use")
    decided = tags(client, worse)["sentiment.decision"]
    assert decided.startswith("forced: films are out of use (refused: metric")


def test_dry_run_of_a_good_challenger_changes_nothing(
    client: MlflowClient, registered: Callable[..., str]
) -> None:
    """A dry run says that it would pass, and neither alias nor tags change."""
    version = registered()
    before = tags(client, version)
    decision = judged(dry_run=True)
    assert decision.passed
    assert not decision.promoted
    with pytest.raises(ModelNotFoundError):
        champion()
    assert tags(client, version) == before


def test_same_model_is_no_gain(registered: Callable[..., str]) -> None:
    """A challenger that is as good as the champion on every text is refused."""
    judged(registered())
    registered()
    (reason,) = judged().reasons
    assert reason.startswith("metric: gain in macro_accuracy +0.0000")
    assert champion() == "1"


# Going back, and the trail that it follows.


def test_rolling_back_twice_goes_back_two(
    client: MlflowClient, registered: Callable[..., str]
) -> None:
    """The trail is a stack: back, further back, then nothing is left; `to` goes forward again."""
    chain(client, registered, 3)
    assert rollback().version == "2"
    assert rollback().version == "1"
    with pytest.raises(ModelNotFoundError, match="before version 1 is on record"):
        rollback()
    assert rollback(to="3").version == "3"
    assert champion() == "3"
    assert rollback().version == "1"


def test_rollback_goes_to_champions_only(
    client: MlflowClient, registered: Callable[..., str]
) -> None:
    """A version that never passed the gates is no way back, and neither is the champion itself."""
    with pytest.raises(ModelNotFoundError):
        rollback()
    chain(client, registered, 2)
    registered()
    with pytest.raises(InputError, match="never champion"):
        rollback(to="3")
    with pytest.raises(InputError, match="champion already"):
        rollback(to="2")
    client.delete_registered_model_alias("sentiment", "champion")
    with pytest.raises(ModelNotFoundError, match="has no champion"):
        rollback()


def test_rollback_knows_moves_that_went_past_it(
    client: MlflowClient, registered: Callable[..., str]
) -> None:
    """Where somebody moved the alias in MLflow itself, the last champion on record is next; deleted
    versions are passed over.
    """  # noqa: D205 - one claim
    chain(client, registered, 3)
    client.set_registered_model_alias("sentiment", "champion", registered())
    assert rollback().version == "3"
    client.delete_model_version("sentiment", "2")
    assert rollback().version == "1"


def test_rollback_to_a_broken_version_is_refused(
    client: MlflowClient, registered: Callable[..., str]
) -> None:
    """A version that a worker would refuse doesn't become champion; the alias stays."""
    chain(client, registered, 2)
    files_of(client, "1", "model.skops").unlink()
    with pytest.raises(ModelRefusedError):
        rollback()
    assert champion() == "2"


def test_history_is_bounded(
    client: MlflowClient, registered: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After many moves with long names and reasons the newest are kept, in a tag that MLflow 2
    takes.
    """  # noqa: D205 - one claim
    monkeypatch.setattr(audit, "who", lambda: "Ada " * 50)
    registered()
    registered()
    client.set_registered_model_tag("sentiment", audit.HISTORY_TAG, "broken by hand")
    for number in range(30):
        origin, target = ("1", "2") if number % 2 else ("2", "1")
        before = None if number == 0 else origin
        audit.move(client, "sentiment", before, target, "force", reason=f"{number} " + "ü" * 500)
    moves = audit.history(client, "sentiment")
    assert 10 < len(moves) < audit.KEPT_MOVES
    assert moves[-1].reason.startswith("29 ")
    assert len(client.get_registered_model("sentiment").tags[audit.HISTORY_TAG]) <= MAX_TAG
    audit.note(client, "sentiment", "1", decision="x" * 10_000)
    assert len(tags(client, "1")["sentiment.decision"]) == MAX_TAG


def test_bundled_model_is_in_the_trail(
    client: MlflowClient, registered: Callable[..., str]
) -> None:
    """Publishing the bundled model over a champion can be rolled back."""
    judged(registered())
    assert register_bundled() == "2"
    assert champion() == "2"
    assert rollback().version == "1"
    assert [move.action for move in audit.history(client, "sentiment")] == [
        "promote", "register", "rollback",
    ]  # fmt: skip
