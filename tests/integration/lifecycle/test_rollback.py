"""Claims about going back, and about the trail that it follows."""

from collections.abc import Callable

import pytest
from mlflow import MlflowClient

from sentiment.errors import InputError, ModelNotFoundError, ModelRefusedError
from sentiment.registry.publish import MAX_TAG
from tests.integration.lifecycle.steps import (
    chain,
    champion,
    files_of,
    judged,
    tags,
)
from trainer import promote as audit
from trainer.promote import rollback
from trainer.register import register_bundled

# MLflow's own, when it is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")


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
    audit.decided(client, "sentiment", "1", "x" * 10_000)
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
