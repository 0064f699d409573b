"""Claims about `sentiment classify`."""

import io
import json
import math
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, strategies as st

from sentiment.cli import cli
from sentiment.errors import SentimentError
from sentiment.model.formats.scikit_learn import SklearnScorer
from sentiment.model.scorer import Fractions
from sentiment.registry.publish import bundled_model, ensure_published
from sentiment.registry.registry import LoadedModel
from sentiment.rows import Fault, line_batches
from tests import compiled, stores


@pytest.fixture(autouse=True)
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled model answers unless a test names a registry."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


class Run(NamedTuple):
    """What a run of the command did."""

    code: int
    out: bytes
    err: str


def run(*arguments: str | Path, lines: bytes = b"") -> Run:
    """Run `sentiment classify` in this process."""
    result = CliRunner().invoke(cli, ["classify", *map(str, arguments)], input=lines)
    if isinstance(result.exception, SentimentError):
        error = result.exception
        return Run(error.exit_code, result.stdout_bytes, f"{error.message} {error.hint}")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return Run(result.exit_code, result.stdout_bytes, result.stderr)


def rows(output: bytes) -> list[dict[str, Any]]:
    """The objects of JSON Lines."""
    return [json.loads(line) for line in output.splitlines()]


def test_answers_are_the_models_own() -> None:
    """Each line has one result, in order, with the score that the model gives the text."""
    chance = random.Random(0)  # noqa: S311 - made texts, not secrets
    words = ["good", "bad", "not", "film", "!", "👍", "boring", "wonderful"]
    texts = [" ".join(chance.choices(words, k=chance.randint(1, 40))) for _ in range(3000)]
    events = [{"text": text, "id": str(i), "source": "s"} for i, text in enumerate(texts)]
    result = run(lines=b"\n".join(json.dumps(event).encode() for event in events))
    assert result.code == 0, result.err
    found = rows(result.out)
    scores = compiled.bundled().score(texts)
    assert [row["id"] for row in found] == [event["id"] for event in events]
    assert [row["line"] for row in found] == list(range(1, 3001))
    assert [row["score"] for row in found] == pytest.approx(scores.tolist(), abs=1e-9)
    for row in found:
        assert row["sentiment"] == ("positive" if row["score"] >= 0.5 else "negative")
        assert row["confidence"] == max(row["score"], 1 - row["score"])
        assert row["model"] == {"name": "sentiment", "version": "bundled"}


BAD = b'{"text":"good"}\nnope\n\n{"text":""}\n\xff\n{"text":"bad","id":7}\n{"text":"awful"}'


def test_bad_lines_are_told_with_their_numbers() -> None:
    """Bad lines stand in the output in place, are told on standard error, and fail the command."""
    result = run(lines=BAD)
    assert result.code == 1
    assert [(row["line"], row.get("error")) for row in rows(result.out)] == [
        (1, None), (2, "not_json"), (4, "empty_text"), (5, "invalid_utf8"), (6, "invalid_field"),
        (7, None),
    ]  # fmt: skip
    told = result.err
    assert "standard input, line 5: invalid_utf8" in told
    assert "2 classified, 4 bad" in told


def test_bad_lines_can_be_left_out() -> None:
    """With --skip-bad only good lines come out, and nothing fails."""
    result = run("--skip-bad", lines=BAD)
    assert result.code == 0
    assert [row["line"] for row in rows(result.out)] == [1, 7]
    assert "line 2" in result.err


def test_many_bad_lines_are_counted_not_listed() -> None:
    """A broken file floods no terminal."""
    result = run(lines=b"nope\n" * 10_000)
    assert len(result.err.splitlines()) < 20
    assert "10,000 bad" in result.err
    assert len(rows(result.out)) == 10_000


def test_too_long_a_line_is_bad_and_the_next_one_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line over the worker's limit is an error like there, however long it is."""
    long = json.dumps({"text": "a" * 3_000_000}).encode()
    monkeypatch.setenv("WORKER_MAX_EVENT_BYTES", "100")
    result = run(lines=long + b'\n{"text":"good"}')
    assert [row.get("error") for row in rows(result.out)] == ["too_large", None]


def test_files_texts_and_their_mistakes(tmp_path: Path) -> None:
    """Several files are told apart; texts need no JSON; wrong use says so."""
    for name in "ab":
        (tmp_path / name).write_text('{"text":"good"}\n')
    found = rows(run(tmp_path / "a", tmp_path / "b").out)
    assert [row["file"] for row in found] == [str(tmp_path / "a"), str(tmp_path / "b")]
    found = rows(run("--text", "loved it", "--text", 'a "bad"\nfilm').out)
    assert [row["sentiment"] for row in found] == ["positive", "negative"]
    for wrong in (["missing.jsonl"], ["--text", "a", str(tmp_path / "a")], ["--model", "missing"]):
        result = run(*wrong)
        assert result.code == 2
        assert result.out == b""


def test_model_is_a_directory_or_in_a_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--model` takes a directory, and an address in the registry that the environment names."""
    (row,) = rows(run("--model", bundled_model(), "--text", "good").out)
    assert row["model"] == {"name": "bundled", "version": "unregistered"}
    uri = stores.provide(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MODEL_CACHE_DIR", str(compiled.provide(tmp_path / "cache")))
    result = run("--text", "good")
    assert result.code == 1
    assert "sentiment register" in result.err
    ensure_published(uri)
    for arguments in ([], ["--model", "models:/sentiment/1"]):
        (row,) = rows(run("--text", "good", *arguments).out)
        assert row["model"] == {"name": "sentiment", "version": "1"}


def test_is_a_program_in_a_pipe() -> None:
    """As a process of its own it answers while its input is open, and ends with it."""
    with subprocess.Popen(
        [sys.executable, "-m", "sentiment", "classify"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b'{"text":"good"}\n')
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["line"] == 1
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(60) == 0


class Stumbling(SklearnScorer):
    """Fails on one text, and gives no number for another."""

    def __init__(self) -> None:
        super().__init__(None)

    def score(self, texts: Sequence[str]) -> Fractions:
        """P(positive) of each, or neither."""
        if "raise" in texts:
            raise ValueError("a text that it can't take")
        return np.array([np.nan if text == "nan" else 0.75 for text in texts])


def test_a_text_that_the_model_fails_on_is_one_bad_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the worker: the others have their scores, and no row says NaN."""
    model = LoadedModel("m", "1", Stumbling(), 0.0)
    monkeypatch.setattr("sentiment.registry.registry.named_model", lambda _: model)
    lines = b"\n".join(b'{"text":"%s"}' % text for text in (b"a", b"raise", b"nan", b"b"))
    done = run(lines=lines)
    assert done.code == 1
    found = rows(done.out)
    assert [row.get("score", row.get("error")) for row in found] == [
        0.75,
        "model_failed",
        "model_failed",
        0.75,
    ]


class Trickle(io.RawIOBase):
    """A pipe that gives its content in pieces of given sizes."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        self._content = content
        self._sizes = sizes

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Give the next piece."""
        size = min(self._sizes.pop() if self._sizes else 7, len(buffer))
        piece, self._content = self._content[:size], self._content[size:]
        buffer[: len(piece)] = piece
        return len(piece)


@given(
    st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b""))),
    st.lists(st.integers(1, 50)),
)
def test_lines_are_whole_however_they_arrive(lines: list[bytes], sizes: list[int]) -> None:
    """Each line comes out once and in order, without its end; one that is too long is a fault."""
    lines = [b"first", *lines]
    stream = io.BufferedReader(Trickle(b"\n".join(lines), sizes))
    found = [line for batch in line_batches(stream, "it", 10) for line in batch]
    expected = [line.removesuffix(b"\r") for line in (lines if lines[-1] else lines[:-1])]
    assert [number for number, _ in found] == list(range(1, len(expected) + 1))
    for (_, line), whole in zip(found, expected, strict=True):
        assert isinstance(line, Fault) if len(whole) > 10 else line == whole


def test_explains_where_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--explain` explains all; rows may ask by themselves; scores are the same either way."""
    lines = b'{"text":"I loved it","explain":true}\nnope\n{"text":"not \xf0\x9f\x91\x8d good"}\n'
    texts = {1: "I loved it", 3: "not \U0001f44d good"}
    asked, every = rows(run(lines=lines).out), rows(run("--explain", lines=lines).out)
    assert ["explanation" in row for row in asked] == [True, False, False]
    assert ["explanation" in row for row in every] == [True, False, True]
    assert [row.get("score") for row in asked] == [row.get("score") for row in every]
    for row in (every[0], every[2]):
        found = row["explanation"]
        total = found["intercept"] + sum(contribution for contribution, _, _ in found["parts"])
        assert total == pytest.approx(found["log_odds"], abs=1e-6)
        assert 1 / (1 + math.exp(-found["log_odds"])) == pytest.approx(row["score"], abs=1e-9)
        text = texts[row["line"]]
        assert all(text[begin:end].strip() for _, begin, end in found["parts"])
    monkeypatch.setenv("WORKER_EXPLAIN", "never")
    assert "explanation" not in rows(run(lines=lines).out)[0]
