"""Claims about what reaches the log."""

import logging

import pytest

from sentiment import logs


def record(message: str) -> logging.LogRecord:
    """A line of librdkafka's."""
    return logging.LogRecord("librdkafka", logging.ERROR, "", 0, message, None, None)


def test_a_broker_that_is_away_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same kind of line passes once in a while; another kind passes at once."""
    now = 100.0
    monkeypatch.setattr("sentiment.logs.time.monotonic", lambda: now)
    sparing = logs.Sparing()
    assert sparing.filter(record("FAIL [a]: refused"))
    assert not sparing.filter(record("FAIL [b]: refused again"))
    assert sparing.filter(record("FENCED [a]: another one"))
    now += logs.QUIET_S
    assert sparing.filter(record("FAIL [a]: still refused"))


def test_logs_are_json_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Where standard error is no terminal, each line is one JSON object with its fields."""
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        logs.configure()
        logs.get("test").info("something happened", partition=3)
        line = capsys.readouterr().err.strip()
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
    assert line.startswith("{")
    assert '"partition": 3' in line
    assert '"event": "something happened"' in line
