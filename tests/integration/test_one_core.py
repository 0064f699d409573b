"""The claim that worker, replay and `sentiment classify` are one core."""

import json
import random
from pathlib import Path

import pytest

from sentiment import wire
from tests.integration.commands import records, sentiment
from tests.integration.conftest import StartWorker
from tests.integration.replays import Replays
from tests.integration.workers import read_results, send

COUNT = 1000
WORDS = [
    "good",
    "bad",
    "not",
    "n't",
    "👍",
    "<br />",
    "ﬁlm",
    "İ",
    "!",
    "...",
    "\u200d",
    "straße",
    "\t",
]
# What a topic may hold beside events.
ODD = [
    b"nope", b"[]", b"7", b"{}", b'{"text": 5}', b'{"text": ""}', b'{"text": " \\t"}', b"\xff",
    b'{"text": "\xff"}', b'{"text": "\\ud800"}', b'{"text": "a", "id": 7}', b'{"text": null}',
    b'{"text": "a", "created_at": "today"}', b"[" * 5000, b'{"text": "a", "source": ""}',
]  # fmt: skip


def odd_values() -> list[bytes]:
    """Events of all sorts; each is another, so that it can be told by its bytes."""
    chance = random.Random(14)  # noqa: S311 - made texts, not secrets
    values = [value + b" " * number for number in range(3) for value in ODD]
    while len(values) < COUNT:
        text = "".join(chance.choices([*WORDS, " "], k=chance.randint(1, 60)))
        event: dict[str, object] = {"text": text, "n": len(values)}
        if chance.random() < 0.3:
            event["id"] = f"id-{len(values)}"
        if chance.random() < 0.1:
            event["explain"] = True
        values.append(json.dumps(event, ensure_ascii=chance.random() < 0.5).encode())
    chance.shuffle(values)
    return values


def answer(result: wire.SentimentResult) -> tuple[object, ...]:
    """What a result says, whoever made it."""
    return result.sentiment, result.score, result.confidence, result.explanation


def test_worker_replay_and_command_answer_alike(
    replays: Replays, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A thousand odd events: the same sentiments, scores, explanations and error codes from all."""
    settings, values = replays.settings, odd_values()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", replays.uri)
    start_worker(MLFLOW_TRACKING_URI=replays.uri)
    send(settings, values)
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(values))
    # A model of the same files: the challenger's, as the replay has it.
    told = sentiment("classify", str(file), "--model", "models:/sentiment@challenger")
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    said = dict(zip(values, lines, strict=True))
    good = sum("sentiment" in line for line in lines)
    assert 0 < good < COUNT

    live = read_results(settings, good)
    figures = replays.finish()
    again = replays.results()
    place_of = {
        (record.partition(), record.offset()): record.value() or b""
        for record in records(settings, settings.topics.events)
    }
    for results in (live, again):
        assert len(results) == good
        for result in results:
            line = said[place_of[result.input.partition, result.input.offset]]
            expected = line["sentiment"], line["score"], line["confidence"]
            assert answer(result)[:3] == expected
            explanation = json.loads(wire.encode(result)).get("explanation")
            assert explanation == line.get("explanation")
    letters = records(settings, settings.topics.dead_letters)
    assert len(letters) == COUNT - good
    codes: dict[str, int] = {}
    for letter in letters:
        code = dict(wire.headers_of(letter))[wire.ERROR_CODE]
        assert isinstance(code, bytes)
        assert code.decode() == said[letter.value() or b""]["error"]
        codes[code.decode()] = codes.get(code.decode(), 0) + 1
    assert figures["dead_letters"] == codes
