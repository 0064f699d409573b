"""Running the `sentiment` command as a process, and reading back what is on a topic."""

import os
import subprocess
import sys

from confluent_kafka import Message

from sentiment.kafka.reader import TopicReader
from sentiment.settings import Settings

# Far above what any command here takes; reached only when one hangs.
PATIENCE_S = 300


def sentiment(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command to its end.

    Args:
        arguments: Its arguments.
        options: `text` for standard input as `input`; other variables are its environment.
    """
    text = options.pop("input", None)
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        check=False,
        encoding="utf-8",
        env={**os.environ, **{name: str(value) for name, value in options.items()}},
        input=text if isinstance(text, str) else "",
        timeout=PATIENCE_S,
    )


def command(*arguments: str) -> list[str]:
    """The command line of `sentiment` in this environment."""
    return [sys.executable, "-m", "sentiment", *arguments]


def records(settings: Settings, topic: str) -> list[Message]:
    """Every committed record of a topic."""
    with TopicReader(settings.kafka, topic, "beginning") as reader:
        return list(reader.rest())


def values(settings: Settings, topic: str) -> list[bytes]:
    """The values of every committed record of a topic, sorted."""
    return sorted(record.value() or b"" for record in records(settings, topic))
