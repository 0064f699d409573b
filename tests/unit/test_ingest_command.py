"""Claims about the command `sentiment ingest`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sentiment.errors import InputError
from trainer.commands.stages import ingest as command


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with four good rows in `good.csv`, and with two bad ones more in `some.csv`."""
    good = "text,label\na,1\nb,0\nc,1\nd,0\n"
    (tmp_path / "good.csv").write_text(good)
    (tmp_path / "some.csv").write_text(good + "e,neutral\n,1\n")
    return tmp_path


def test_the_command_prints_a_line_for_each_source(root: Path) -> None:
    """For people a table with the reasons; the progress goes elsewhere."""
    done = invoke(root)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "source                     rows       kept   rejected",
        "good                          4          4          0",
        "some                          6          4          2  1 empty_text, 1 unknown_label",
        "total                        10          8          2",
    ]
    assert "some: reading some.csv" in done.stderr


def test_the_command_prints_json_for_programs(root: Path) -> None:
    """One object, the same as in report.json."""
    done = invoke(root, "--json")
    assert json.loads(done.stdout) == json.loads((root / "raw" / "report.json").read_text())


def test_the_command_says_what_is_wrong_in_a_sentence(root: Path) -> None:
    """No table, no traceback: an InputError for the command line to print."""
    (root / "some.csv").unlink()
    done = invoke(root)
    assert isinstance(done.exception, InputError)
    assert done.stdout == ""


def invoke(root: Path, *arguments: str) -> Result:
    """Run the command in this process, with the root from the environment."""
    file = root / "params.yaml"
    file.write_text(
        "ingest: {sources: [{name: good, uri: good.csv}, {name: some, uri: some.csv}],"
        " max_rejected_share: 0.5}\n"
        "candidates: {a: {kind: 'a:B'}}\nrelease: a\n"
    )
    return CliRunner(env={"SENTIMENT_DATA": str(root)}).invoke(
        command, ["--params", str(file), "--output", str(root / "raw"), *arguments]
    )
