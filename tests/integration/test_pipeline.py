"""Claims about the whole pipeline, as processes on made texts, with a SQLite store."""

import json
import re
import shutil
from pathlib import Path

import pytest

from sentiment.registry.artifact import checksums, open_model
from sentiment.registry.registry import Registry
from sentiment.settings import ModelSettings
from tests.integration import projects
from tests.integration.s3_helpers import BUCKET, KEY_ID, SECRET, new_client
from tests.integration.s3_server import S3Server

ALL = ["ingest", "preprocess", "train@baseline", "train@champion", "evaluate", "release"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project outside of Git, all of whose stages have run once."""
    folder = tmp_path_factory.mktemp("project")
    projects.make(folder)
    done = projects.run(folder, "trainer.pipeline", "sources")
    (folder / "told.txt").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_all_stages_run_and_tell_what_they_took(project: Path) -> None:
    """From files to a version in the registry; each stage's time stands at the end, and memory."""
    told = (project / "told.txt").read_text()
    assert re.findall(r"Running stage '(.+)':", told) == [*ALL, "register"]
    times = re.findall(r"^(\S+) +\d+ min \d\d s", told, flags=re.MULTILINE)
    assert times == [*ALL, "register", "all"]
    assert re.search(r"^all .* at most \d+\.\d GB at a time$", told, flags=re.MULTILINE)
    registered = json.loads((project / "models" / "registered.json").read_text())
    assert registered == {"name": "sentiment", "version": "1", "alias": "challenger"}
    listed = projects.run(project, "sentiment", "models", "--json")
    (version,) = json.loads(listed.stdout)
    assert (version["version"], version["aliases"]) == ("1", ["challenger"])
    # What runs make is no part of the project.
    assert projects.git(project, "init", "--quiet", "copy") == 0
    shutil.copy(project / ".gitignore", project / "copy")
    for made in ("data/raw", "models/release", "evaluation", "mlflow.db", "artifacts"):
        assert projects.git(project / "copy", "check-ignore", "--quiet", f"{made}/x") == 0, made


def test_second_run_only_looks_at_the_sources(project: Path) -> None:
    """Where nothing changed, nothing is made again, and no version is registered."""
    before = checksums(project / "models")
    for code in ("sentiment/model/compiled", "trainer/judging"):
        # What Python and Numba keep is no change of the code.
        (project / code / "__pycache__").mkdir(exist_ok=True)
        (project / code / "__pycache__" / "kept.nbc").touch()
    assert projects.stages(project) == ["ingest"]
    assert checksums(project / "models") == before


def test_source_that_cannot_be_read_costs_nothing(project: Path) -> None:
    """The run ends with a sentence, and what was read last time is still there."""
    before = checksums(project / "data" / "raw")
    (project / "sources" / "films.csv").rename(project / "sources" / "films")
    done = projects.run(project, "trainer.pipeline", "sources")
    (project / "sources" / "films").rename(project / "sources" / "films.csv")
    assert done.returncode != 0
    assert "Error: Source 'films': there is no file or folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert checksums(project / "data" / "raw") == before


def test_missing_folder_is_wrong_use(project: Path) -> None:
    """A mistyped DATA ends in a sentence before anything runs."""
    done = projects.run(project, "trainer.pipeline", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no folder nowhere" in done.stderr
    assert "make train DATA=" in done.stderr


def test_changed_knob_runs_what_it_touches(project: Path) -> None:
    """Knobs of the gates run nothing, one of a candidate what comes of it."""
    params = projects.read_params(project)
    params["promote"]["min_metric"] = 0.7
    projects.write_params(project, params)
    assert projects.stages(project) == ["ingest"]
    params["candidates"]["champion"]["params"]["C"] = 4.0  # type: ignore[index] # is a mapping
    projects.write_params(project, params)
    ran = ["ingest", "train@champion", "evaluate", "release", "register"]
    assert projects.stages(project) == ran
    assert json.loads((project / "models" / "registered.json").read_text())["version"] == "2"
    knobs = "knobs: '" + '{"kind":"trainer.champion:Champion","params":{"C":4.0,'
    assert knobs in (project / "models" / "release" / "MLmodel").read_text()


def test_registered_version_goes_through_the_gates_to_a_worker(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sentiment promote` takes what the pipeline registered, and a worker's registry serves it."""
    done = projects.run(project, "sentiment", "promote", "--json")
    decision = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert decision["promoted"]
    for name, value in projects.environment(project).items():
        monkeypatch.setenv(name, value)
    model = Registry(ModelSettings()).load_champion()
    assert model.version == decision["challenger"]
    assert model.scorer.kind == "compiled"
    assert (model.scorer.score(["superb, great", "dull, awful"]) > 0.5).tolist() == [True, False]


def test_outputs_go_to_s3_and_come_back(project: Path, tmp_path: Path) -> None:
    """With a remote on S3, somebody else has the tables and models without making them."""
    identity = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    with S3Server() as server:
        client = new_client(server, "s3")
        client.create_bucket(Bucket=BUCKET)
        client.close()

        def dvc(folder: Path, *arguments: str) -> str:
            done = projects.run(
                folder, "dvc", *arguments, AWS_DEFAULT_REGION="eu-west-1", **identity
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        for folder in (project, tmp_path):
            if folder == tmp_path:
                projects.copy(tmp_path)
                assert projects.git(tmp_path, "init", "--quiet") == 0
                shutil.copy(project / "dvc.lock", tmp_path)
                shutil.copy(project / "params.yaml", tmp_path)
            dvc(folder, "remote", "add", "--local", "--default", "storage", f"s3://{BUCKET}/dvc")
            dvc(folder, "remote", "modify", "--local", "storage", "endpointurl", server.url)
            dvc(folder, "push" if folder == project else "pull")
    for made in ("data", "models", "evaluation"):
        theirs = {k: v for k, v in checksums(project / made).items() if not k.startswith("cache")}
        assert checksums(tmp_path / made) == theirs
    assert SECRET not in (project / ".dvc" / "config.local").read_text()


def test_examples_of_the_document_work(project: Path, tmp_path: Path) -> None:
    """The notebook of docs/model.md runs, and its candidate is trained by its name."""
    document = (projects.ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    candidate, notebook = re.findall(r"```python\n(.*?)```", document, flags=re.DOTALL)
    copy = shutil.copytree(project, tmp_path / "copy")
    # From where it is installed it needs not be compiled again.
    shutil.rmtree(copy / "sentiment")
    (copy / "notebook.py").write_text(notebook)
    done = projects.run(copy, "notebook", PYTHONSAFEPATH="")
    assert done.returncode == 0, done.stderr
    accuracy, score, explanation = done.stdout.splitlines()[-3:]
    assert accuracy.startswith("Interval(value=")
    assert score.startswith("[0.")
    assert "log_odds" in explanation
    imports = (
        "from sklearn.feature_extraction.text import TfidfVectorizer\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.pipeline import make_pipeline\n"
    )
    (copy / "trainer" / "tickets.py").write_text(imports + candidate)
    params = projects.read_params(copy)
    params["candidates"]["tickets"] = {"kind": "trainer.tickets:Tickets", "params": {"C": 2.0}}
    projects.write_params(copy, params)
    done = projects.run(copy, "sentiment", "train", "tickets", PYTHONSAFEPATH="")
    assert (done.returncode, done.stdout) == (0, "models/tickets\n"), done.stderr
    assert open_model(copy / "models" / "tickets").kind == "compiled"
