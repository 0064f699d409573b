"""Claims about the ingest stage and its command, on files of this machine."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from sentiment.errors import InputError
from sentiment.registry.artifact import checksums
from tests.unit.test_ingest_aclimdb import tiny
from trainer import tables
from trainer.commands.stages import ingest as command
from trainer.ingest import IngestReport, ingest
from trainer.params import Ingest

JsonValue = str | int | float | dict[str, str] | dict[str, int] | None


def params(*sources: dict[str, JsonValue], share: float = 0.5) -> Ingest:
    """The part of params.yaml."""
    return msgspec.convert({"sources": sources, "max_rejected_share": share}, Ingest)


def run(root: Path, *sources: dict[str, JsonValue], share: float = 0.5) -> IngestReport:
    """Ingest below `root/raw`."""
    return ingest(params(*sources, share=share), root, root / "raw")


def table(root: Path) -> pd.DataFrame:
    """The table that was made."""
    return tables.read(root / "raw" / "texts.parquet", "ingest")


def rejected(root: Path) -> list[dict[str, str | int]]:
    """The rows that were written aside."""
    lines = (root / "raw" / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with ten good rows in `good.csv`, and eight good and two bad ones in `some.csv`."""
    good = [{"text": f"text {i}", "label": i % 2, "film": i // 3} for i in range(10)]
    pd.DataFrame(good).to_csv(tmp_path / "good.csv", index=False)
    some = pd.DataFrame(good).astype({"label": str})
    some.loc[3, "label"] = "neutral"
    some.loc[5, "text"] = ""
    some.to_csv(tmp_path / "some.csv", index=False)
    return tmp_path


def test_sources_become_one_table(root: Path) -> None:
    """Rows keep their order; groups carry their source; domain and split fall back as promised."""
    frame = pd.DataFrame({"text": ["x", "y"], "label": [0, 1], "kind": ["tweets", None]})
    frame.to_json(root / "more.jsonl", orient="records", lines=True)
    report = run(
        root,
        {"name": "films", "uri": "good.csv", "columns": {"group": "film"}, "domain": "reviews"},
        {"name": "more", "uri": "more.jsonl", "columns": {"domain": "kind"}, "split": "test"},
    )
    made = table(root)
    assert made["text"].tolist() == [*(f"text {i}" for i in range(10)), "x", "y"]
    assert made["label"].tolist() == [*([0, 1] * 5), 0, 1]
    assert made["label"].dtype == "int8"
    assert made["group"].tolist()[2:4] + made["group"].tolist()[-2:] == [
        "films:0", "films:1", "more#1", "more#2",
    ]  # fmt: skip
    assert made["domain"].tolist()[-3:] == ["reviews", "tweets", "more"]
    assert made["split"].tolist() == ["auto"] * 10 + ["test"] * 2
    assert (report.rows, report.kept, report.rejected) == (12, 12, {})


def test_rejected_rows_are_counted_and_written_aside(root: Path) -> None:
    """Every bad row stands in the file with its place and reason, and in the report's counts."""
    report = run(root, {"name": "good", "uri": "good.csv"}, {"name": "some", "uri": "some.csv"})
    assert rejected(root) == [
        {"source": "some", "file": "some.csv", "row": 4, "reason": "unknown_label",
         "excerpt": "label='neutral' text='text 3'"},
        {"source": "some", "file": "some.csv", "row": 6, "reason": "empty_text",
         "excerpt": "label='1' text=''"},
    ]  # fmt: skip
    assert (report.rows, report.kept) == (20, 18)
    assert report.rejected == {"unknown_label": 1, "empty_text": 1}
    assert [source.rejected for source in report.sources] == [{}, report.rejected]
    assert len(table(root)) == 18
    written = msgspec.json.decode((root / "raw" / "report.json").read_bytes(), type=IngestReport)
    assert written == report


def test_the_report_has_the_checksum_of_each_file(root: Path) -> None:
    """What was read can be told again, wherever it stood."""
    report = run(root, {"name": "good", "uri": str(root / "good.csv")})
    (made,) = report.sources[0].inputs
    assert made.name == "good.csv"
    assert made.sha256 == checksums(root)["good.csv"]
    assert made.bytes == (root / "good.csv").stat().st_size
    assert str(root) not in (root / "raw" / "report.json").read_text()


def test_too_large_a_share_of_bad_rows_stops(root: Path) -> None:
    """The error names source, share and reason; the rows can be looked at; the old table stays."""
    run(root, {"name": "good", "uri": "good.csv"})
    before = checksums(root / "raw")
    with pytest.raises(InputError) as caught:
        run(
            root,
            {"name": "good", "uri": "good.csv"},
            {"name": "some", "uri": "some.csv"},
            share=0.19,
        )
    assert "'some': 2 of its 10 rows (20.0%)" in caught.value.message
    assert "allows 19.0%" in caught.value.message
    assert "Most often it is unknown_label (1), first in some.csv, row 4: label='neutral'" in (
        caught.value.message
    )
    assert str(root / "raw" / "rejected.jsonl") in caught.value.hint
    assert len(rejected(root)) == 2
    after = checksums(root / "raw")
    assert after.pop("rejected.jsonl") != before.pop("rejected.jsonl")
    assert after == before


def test_a_share_that_is_just_allowed_passes(root: Path) -> None:
    """Two of ten are not more than 20 %."""
    assert run(root, {"name": "some", "uri": "some.csv"}, share=0.2).kept == 8


def test_no_usable_row_is_always_too_few(root: Path) -> None:
    """Even where every share is allowed, a source has to give something."""
    with pytest.raises(InputError, match="10 of its 10 rows"):
        run(root, {"name": "a", "uri": "good.csv", "labels": {"a": 1}}, share=1.0)


def test_the_same_inputs_give_the_same_bytes(root: Path) -> None:
    """Nothing depends on when or where it was made."""
    source: dict[str, JsonValue] = {"name": "some", "uri": "some.csv"}
    run(root, source)
    first = checksums(root / "raw")
    (root / "elsewhere").mkdir()
    (root / "some.csv").rename(root / "elsewhere" / "some.csv")
    run(root / "elsewhere", source)
    assert checksums(root / "elsewhere" / "raw") == first
    assert sorted(first) == ["rejected.jsonl", "report.json", "texts.parquet"]


def test_a_folder_is_all_its_files_in_order(root: Path) -> None:
    """Sorted by name, of all formats, without hidden and other files; rows are told apart."""
    folder = root / "shop" / "2025"
    folder.mkdir(parents=True)
    for name in ("e.csv", "b.csv", "d.csv", "a.csv", "c.csv", ".hidden.csv"):
        (folder / name).write_text(f"text,label\n{name},1\n")
    (folder / "z.jsonl").write_text('{"text": "z.jsonl", "label": 0}\n{"label": 0}\n')
    (folder / "_SUCCESS").write_text("")
    said: list[str] = []
    report = ingest(params({"name": "shop", "uri": "shop/"}), root, root / "raw", said.append)
    names = ["a.csv", "b.csv", "c.csv", "d.csv", "e.csv", "z.jsonl"]
    assert table(root)["text"].tolist() == names
    assert table(root)["group"].tolist() == [f"shop#{number}" for number in range(1, 7)]
    made = report.sources[0].inputs
    assert [file.name for file in made] == [f"shop/2025/{name}" for name in names]
    assert said[0] == "shop: leaving out 1 of 7 files, as shop/2025/_SUCCESS"
    assert [(row["file"], row["row"]) for row in rejected(root)] == [("shop/2025/z.jsonl", 2)]


def test_a_format_that_is_said_wins_over_the_name(root: Path) -> None:
    """A file may be called anything, when its source says what it is."""
    (root / "good.csv").rename(root / "export.dat")
    assert run(root, {"name": "a", "uri": "export.dat", "format": "csv"}).kept == 10
    with pytest.raises(InputError, match=r"export\.dat has no known format"):
        run(root, {"name": "a", "uri": "export.dat"})


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({"uri": "none.csv"}, "'a': there is no file or folder .*none.csv"),
        ({"uri": "empty"}, "'a': empty has no file that can be read, out of 1"),
        ({"uri": "header.csv"}, "'a' has no rows"),
        ({"uri": "good.csv", "columns": {"label": "stars"}},
         "'a': good.csv has no column 'stars'; it has 'text', 'label', 'film'"),
        ({"uri": "good.csv", "sha256": "0" * 64}, "has the SHA-256 [0-9a-f]{64}, not 0000"),
        ({"uri": ".", "sha256": "0" * 64}, "can't be that of the 3 files"),
        ({"uri": "https://example.org/a.csv"}, "needs a `sha256`"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_source_is_said(
    root: Path, source: dict[str, JsonValue], sentence: str
) -> None:
    """Missing, empty and other files than the right ones end in a sentence, and leave nothing."""
    (root / "empty").mkdir()
    (root / "empty" / "notes.txt").write_text("")
    (root / "header.csv").write_text("text,label\n")
    with pytest.raises(InputError, match=sentence):
        run(root, {"name": "a", **source})
    assert list((root / "raw").iterdir()) == []


def test_two_sources_of_one_name_are_refused(root: Path) -> None:
    """Their groups could not be told apart."""
    source: dict[str, JsonValue] = {"name": "a", "uri": "good.csv"}
    with pytest.raises(InputError, match="called 'a'"):
        run(root, source, source)


def test_the_checksum_that_is_given_is_compared(root: Path) -> None:
    """The right one passes."""
    sha256 = checksums(root)["good.csv"]
    assert run(root, {"name": "a", "uri": "good.csv", "sha256": sha256}).kept == 10


def test_an_archive_keeps_its_own_split(root: Path) -> None:
    """The official test part stays apart, unless the source puts all on one side."""
    tiny(root / "aclImdb_v1.tar.gz")
    source: dict[str, JsonValue] = {"name": "imdb", "uri": "aclImdb_v1.tar.gz", "format": "aclimdb"}
    run(root, source)
    assert table(root)["split"].tolist() == ["test", "auto", "auto", "auto"]
    assert table(root)["label"].tolist() == [0, 0, 1, 1]
    assert table(root)["group"].tolist() == ["imdb#1", "imdb:tt0003", "imdb:tt0001", "imdb:tt0002"]
    run(root, {**source, "split": "train"})
    assert set(table(root)["split"]) == {"train"}


def test_an_archive_has_to_be_asked_for(root: Path) -> None:
    """Not every archive is the one that we know."""
    tiny(root / "aclImdb_v1.tar.gz")
    with pytest.raises(InputError, match="no known format"):
        run(root, {"name": "imdb", "uri": "aclImdb_v1.tar.gz"})


def test_an_error_in_the_middle_leaves_the_old_output(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk at the last file costs nothing that was there."""
    run(root, {"name": "good", "uri": "good.csv"})
    before = checksums(root / "raw")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainer.reports.write", full)
    with pytest.raises(InputError, match="can't be written: No space left on device"):
        run(root, {"name": "some", "uri": "some.csv"})
    assert checksums(root / "raw") == before


def test_killed_in_the_middle_nothing_is_half_written(root: Path) -> None:
    """After SIGKILL the old files are untouched, and the next run is as if nothing had been."""
    run(root, {"name": "good", "uri": "good.csv"})
    before = checksums(root / "raw")
    code = (
        "import sys; from pathlib import Path; from tests.unit.test_ingest import run\n"
        "run(Path(sys.argv[1]), {'name': 'some', 'uri': 'some.csv'},"
        " {'name': 'b', 'uri': sys.argv[2], 'format': 'csv', 'sha256': 64 * '0'})"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/b.csv"
        process = subprocess.Popen([sys.executable, "-c", code, str(root), address])
        # It has read its first source and now waits for the second.
        with silent.accept()[0]:
            process.kill()
            process.wait()
    assert (root / "raw" / ".part" / "rejected.jsonl").exists()
    now = checksums(root / "raw")
    assert {name: now[name] for name in now if not name.startswith(".part")} == before
    run(root, {"name": "good", "uri": "good.csv"})
    assert checksums(root / "raw") == before


def test_the_command_prints_a_line_for_each_source(root: Path) -> None:
    """For people a table with the reasons, for programs what is in report.json; the progress goes
    elsewhere.
    """  # noqa: D205 - one claim
    done = invoke(root)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "source                     rows       kept   rejected",
        "good                         10         10          0",
        "some                         10          8          2  1 empty_text, 1 unknown_label",
        "total                        20         18          2",
    ]
    assert "some: reading some.csv" in done.stderr
    printed = invoke(root, "--json").stdout
    assert json.loads(printed) == json.loads((root / "raw" / "report.json").read_text())


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
