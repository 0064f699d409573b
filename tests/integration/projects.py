"""A project folder of a test's own: dvc.yaml, the code that it depends on, small made sources."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
# What stages depend on or read; code itself is imported from where it is installed.
NEEDED = (".dvc/.gitignore", ".dvc/config", ".dvcignore", ".gitignore", "dvc.yaml")
# Far above what the stages take on made texts, on a busy machine.
PATIENCE_S = 240

GOOD = "excellent wonderful superb loved best great perfect beautiful recommended"
BAD = "terrible waste boring awful worst poor dull disappointing hated"
FILLER = "the film a story of acting and evening time year"


def make(folder: Path) -> None:
    """Make a project: its sources are reviews of films, and short texts of two other domains."""
    copy(folder)
    sources = folder / "sources"
    sources.mkdir()
    chance = random.Random(0)  # noqa: S311 - made data, not secrets

    def text(number: int) -> str:
        words = chance.choices(FILLER.split(), k=8)
        words += chance.choices((BAD, GOOD)[number % 2].split(), k=6)
        # No two are copies of each other.
        return " ".join([*words, f"w{number}"])

    films = [f"{text(n)},{n % 2},tt{n // 2 % 40}\n" for n in range(300)]
    (sources / "films.csv").write_text("text,label,film\n" + "".join(films))
    for name, numbers in (("learnt", range(300, 500)), ("asked", range(500, 600))):
        rows = ({"text": text(n), "label": n % 2, "kind": "ab"[n % 4 // 2]} for n in numbers)
        (sources / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    columns = {"domain": "kind"}
    document["ingest"]["sources"] = [
        {"name": "films", "uri": "films.csv", "domain": "imdb", "columns": {"group": "film"}},
        {"name": "learnt", "uri": "learnt.jsonl", "columns": columns, "split": "train"},
        {"name": "asked", "uri": "asked.jsonl", "columns": columns, "split": "test"},
    ]
    document["evaluate"]["bootstrap"] = 20
    # Its stemmer needs no corpus.
    document["candidates"]["baseline"]["params"]["normaliser"] = "stem"
    write_params(folder, document)
    words = folder / "nltk_data" / "corpora" / "stopwords" / "english"
    words.parent.mkdir(parents=True)
    words.write_text("the\na\nof\nand\n")


def copy(folder: Path) -> None:
    """What of a project stands in a repository, but for its parameters and sources."""
    for name in NEEDED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for package in ("sentiment", "trainer"):
        ignored = shutil.ignore_patterns("__pycache__", "bundled")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)


def read_params(folder: Path) -> dict[str, dict[str, object]]:
    """The parameters as they stand."""
    document: dict[str, dict[str, object]] = yaml.safe_load((folder / "params.yaml").read_text())
    return document


def write_params(folder: Path, document: object) -> None:
    """Change the parameters."""
    (folder / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def environment(folder: Path) -> dict[str, str]:
    """Variables under which nothing outside of the folder is read or written."""
    away = ("AWS_", "DVC_", "MLFLOW_", "DAGSHUB_", "SENTIMENT_", "NLTK_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(away)}
    return {
        **kept,
        **{f"DVC_{kind}_DIR": str(folder / ".own" / kind)
           for kind in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE")},
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "MODEL_CACHE_DIR": str(folder / ".own" / "models"),
        "NLTK_DATA": str(folder / "nltk_data"),
        # The project's copy of the code, in the current folder, would be compiled anew.
        "PYTHONSAFEPATH": "1",
    }  # fmt: skip


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a module of this environment's in the project."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        check=False,
        cwd=folder,
        encoding="utf-8",
        env={**environment(folder), **variables},
        timeout=PATIENCE_S,
    )


def git(folder: Path, *arguments: str) -> int:
    """Run a Git command there; its exit code."""
    command = [shutil.which("git") or "git", *arguments]
    return subprocess.run(command, cwd=folder, check=False).returncode


def stages(folder: Path) -> list[str]:
    """Run the pipeline; the stages that DVC ran."""
    done = run(folder, "trainer.pipeline", "sources")
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"Running stage '(.+)':", done.stdout)
