"""Claims about apps: an entry point brings all of an app; a broken one harms no other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sentiment import apps

ROOT = Path(__file__).parents[2]
TOY = """
import click
from pydantic_settings import SettingsConfigDict
from pydantic import Field

from sentiment.apps import App, Right
from sentiment.kafka.topics import Topic
from sentiment.metrics import EVERYWHERE, Metrics
from sentiment.settings import Section


class ToySettings(Section):
    model_config = SettingsConfigDict(env_prefix="TOY_")
    output: str = Field("toys", description="Where toys go.")


METRICS = Metrics("toy", EVERYWHERE)
MADE = METRICS.counter("sentiment_toys_total", "Toys made.")


@click.command(short_help="Make toys.")
def toy() -> None:
    print("a toy")


def topics(settings):
    return [Topic(settings.of(ToySettings).output, 1)]


APP = App(
    commands={"toy": "toybox:toy"},
    settings=("toybox:ToySettings",),
    metrics=("toybox:METRICS",),
    rights=(Right("toy", "WRITE", "topic", "TOY_OUTPUT"),),
    topics=("toybox:topics",),
)
"""
SHOW = """
from sentiment.kafka import topics
from sentiment.settings import Settings
from tools import docs, reference
print(reference.settings_table(), reference.metrics_table(), reference.rights_table())
print(docs.as_yaml(*reference.users()), reference.policies()["sentiment-toy"])
print([topic.name for topic in topics.wanted(Settings())])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the toy app, installed as pip would leave it."""
    (tmp_path / "toybox.py").write_text(TOY)
    installed = tmp_path / "toybox-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: toybox\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[sentiment.apps]\ntoy = toybox:APP\n")
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with a folder's packages installed beside ours."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        text=True,
        timeout=60,
    )


def test_an_app_brings_its_command(folder: Path) -> None:
    """`sentiment --help` lists it, and it runs."""
    listed = run(folder, "-m", "sentiment", "--help")
    assert re.search(r"^  toy +Make toys\.$", listed.stdout, re.MULTILINE)
    assert run(folder, "-m", "sentiment", "toy").stdout == "a toy\n"


def test_an_app_brings_its_rows_of_the_documents(folder: Path) -> None:
    """Its settings, metrics, rights and topics are where those of our own apps are."""
    shown = run(folder, "-c", SHOW).stdout
    assert "| `TOY_OUTPUT` | `toys` | Where toys go. |" in shown
    assert "| `sentiment_toys_total` | toy | counter |  | 1 | Toys made. |" in shown
    assert "| toy | WRITE | topic `TOY_OUTPUT` |" in shown
    assert "name: sentiment-toy\n" in shown
    assert "/toys" in shown
    assert shown.rstrip().endswith("'toys']")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("import no_such_library", "No module named 'no_such_library'"),
        ("APP = 1", "no App but a int"),
        ("def APP(:", "SyntaxError"),
    ],
)
def test_a_broken_app_harms_no_other(folder: Path, wrong: str, reason: str) -> None:
    """Where it can't be loaded, the log says why, and every other command is there."""
    (folder / "toybox.py").write_text(wrong)
    shown = run(folder, "-m", "sentiment", "--help")
    assert shown.returncode == 0
    listed = [
        line.split()[0] for line in shown.stdout.partition("Commands:")[2].split("\n") if line
    ]
    assert listed == sorted(apps.commands())
    assert "broken app left out" in shown.stderr
    assert "toybox:APP" in shown.stderr
    assert reason in shown.stderr


def test_a_broken_command_harms_no_other(folder: Path) -> None:
    """It is listed as broken, and an error with a hint where it is used."""
    (folder / "toybox.py").write_text(TOY.replace('"toybox:toy"', '"toybox:ball"'))
    shown = run(folder, "-m", "sentiment", "--help")
    assert shown.returncode == 0
    assert "toy  " in shown.stdout
    assert "(broken: AttributeError)" in shown.stdout
    used = run(folder, "-m", "sentiment", "toy")
    assert used.returncode == 1
    assert "Error: The command 'toy' is broken: toybox:ball can't be loaded: " in used.stderr
    assert "Traceback" not in used.stderr


def test_broken_topics_harm_no_other(folder: Path) -> None:
    """Topics of an app that can't be told are named in the log; all others are there."""
    (folder / "toybox.py").write_text(TOY.replace('"toybox:topics"', '"toybox:balls"'))
    code = (
        "from sentiment.kafka import topics; from sentiment.settings import Settings;"
        "print(len(topics.wanted(Settings())))"
    )
    shown = run(folder, "-c", code)
    assert int(shown.stdout.split()[-1]) > 7
    assert "toybox:balls" in shown.stdout + shown.stderr


def test_a_command_of_ours_is_no_other_apps(folder: Path) -> None:
    """An app that brings a command by a name that there is gets no place, and the log says so."""
    (folder / "toybox.py").write_text(TOY.replace('"toy": "', '"topics": "'))
    shown = run(folder, "-m", "sentiment", "--help")
    assert "Make toys" not in shown.stdout
    assert "toybox:toy" in shown.stderr
