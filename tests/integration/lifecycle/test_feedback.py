"""The way of people's labels: from the topic to training texts, and to the promotion's gate."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from msgspec import structs

from sentiment.kafka import clients
from sentiment.settings import Settings
from sentiment.wire import Feedback, Model, encode
from tests.integration.lifecycle.steps import champion, params_file, run
from trainer.commands.feedback import feedback
from trainer.commands.models import promote
from trainer.ingest import ingest
from trainer.params import Columns, Ingest, Source

pytestmark = [
    pytest.mark.kafka,
    # MLflow's own, when it is first imported.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),
]


def label(settings: Settings, name: str, word: Feedback | None) -> None:
    """Put a label on the topic."""
    producer = clients.new_producer(settings.kafka)
    producer.produce(settings.topics.feedback, encode(word) if word else None, name)
    assert producer.flush(30) == 0


WORD = Feedback("e", "negative", Model("sentiment", "7"), "positive", "Oh, great. Late again.")


def test_labelled_texts_are_training_texts(settings: Settings, tmp_path: Path) -> None:
    """The last label of each event, where it has a text, becomes a row, with its origin."""
    label(settings, "a", structs.replace(WORD, label="positive"))
    label(settings, "a", WORD)
    label(settings, "b", structs.replace(WORD, text=None))
    label(settings, "c", WORD)
    label(settings, "c", None)
    label(settings, "d", structs.replace(WORD, text="Fine.", label="positive"))
    file = tmp_path / "feedback.jsonl"
    result = run(feedback, "export", file, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"texts": 2, "labels": 3}
    assert "2 labelled texts" in result.stderr
    lines = {line["id"]: line for line in map(json.loads, file.read_text().splitlines())}
    assert set(lines) == {"a", "d"}
    assert lines["a"].pop("given_at").startswith("20")
    assert lines["a"] == {
        "id": "a", "text": WORD.text, "label": "negative", "sentiment": "positive",
        "model": "sentiment", "model_version": "7",
    }  # fmt: skip
    source = Source(name="feedback", uri=file.name, domain="feedback", columns=Columns(group="id"))
    report = ingest(Ingest(sources=[source]), tmp_path, tmp_path / "raw")
    assert report.kept == 2
    table = pd.read_parquet(tmp_path / "raw" / "texts.parquet").sort_values("group")
    assert table["group"].tolist() == ["feedback:a", "feedback:d"]
    assert table["label"].tolist() == [0, 1]
    assert set(table["domain"]) == {"feedback"}


def test_accuracy_is_told_by_version(settings: Settings) -> None:
    """A line for each version that answered something that was labelled."""
    empty = run(feedback, "accuracy")
    assert "Nobody has labelled" in empty.stderr
    label(settings, "a", WORD)
    label(settings, "b", structs.replace(WORD, label="positive"))
    result = run(feedback, "accuracy")
    assert result.stdout.splitlines()[1].split() == ["7", "2", "0.5000", "0.5000", "1.0000"]
    found = json.loads(run(feedback, "accuracy", "--json").stdout)
    assert found["7"]["labels"] == 2


def test_promotion_can_ask_for_peoples_agreement(
    settings: Settings, registered: Callable[..., str], tmp_path: Path
) -> None:
    """Where the parameters ask for labels, a challenger without them is refused."""
    version = registered()
    gates = {"min_feedback_accuracy": 0.5, "min_feedback_labels": 2}
    arguments = ("--params", params_file(tmp_path, gates), "--data", tmp_path)
    refused = run(promote, *arguments)
    assert refused.exit_code == 1
    assert "FAIL  feedback" in refused.stdout
    word = structs.replace(WORD, model=Model("sentiment", version))
    label(settings, "a", word)
    label(settings, "b", structs.replace(word, label="positive"))
    done = run(promote, *arguments)
    assert done.exit_code == 0, done.output
    assert "0.5000 of 2 labels agree" in done.stdout
    assert champion() == version
