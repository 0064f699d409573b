"""`python -m tests.fuzz.models`: search for model directories that harm whoever loads them.

Files of good models are damaged at random, and each is loaded as a worker does it. It may be
refused, or it must serve: any text has a probability, in bounded memory and time. A process of its
own loads each; it is forked from one that has imported all, or each would take seconds.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
import yaml
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sentiment import limited
from sentiment.errors import ModelRefusedError
from sentiment.limited import Limits
from sentiment.model.estimators import build
from sentiment.model.scorer import PROBES
from sentiment.registry import artifact
from tests.fuzz.options import options
from tests.unit.small_models import BAD, GOOD, make_texts

# Of a worker's container, and what a process that waits for its child is given.
MOST_MEMORY_KB, LONGEST_S = 1 << 20, 120.0
# What stands in a fuzzer's report for a model that is as it must be.
FINE = {"refused", "compiled", "sklearn"}
TEXTS = [
    *(text for text, _ in PROBES), GOOD, BAD, f"{GOOD} {BAD} not " * 400, "a " * 30_000,
    "x" * 60_000, "İΣ great\U0001f44d\x00\ud800", "",
]  # fmt: skip
ODD: list[Any] = [
    -1, 0, 1, 2, 255, 2**31 - 1, 2**31, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e-320, 1e308, True,
    False, None, "", "x", "content", "filename", "file", "english", "(a+)+$", "passthrough", [], {},
    [1, 1], [1, 10**9], [[[]]], "numpy", "ndarray", "os", "system", "object", float("nan"),
    float("inf"),
]  # fmt: skip


def good_models(folder: Path) -> list[Path]:
    """One directory for each kind of pipeline that is served."""
    texts = make_texts(200, seed=1)
    learnt, labels = texts["text"].tolist(), texts["label"].to_numpy()
    made = []
    for number, pipeline in enumerate(
        (
            build((1, 1, 1)),
            make_pipeline(CountVectorizer(ngram_range=(1, 2)), LogisticRegression()),
            make_pipeline(TfidfVectorizer(stop_words=["the"]), LogisticRegression()),
            make_pipeline(CountVectorizer(analyzer="char_wb"), LogisticRegression()),
        )
    ):
        directory = folder / f"good-{number}"
        directory.mkdir(parents=True)
        skops.io.dump(pipeline.fit(learnt, labels), directory / "model.skops")
        flavor = {"serialization_format": "skops", "pickled_model": "model.skops"}
        (directory / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}}))
        made.append(directory)
    return made


def damage(directory: Path, chance: random.Random) -> None:
    """Change one to three things in a model's files."""
    for _ in range(chance.randint(1, 3)):
        chance.choice([_schema, _schema, _schema, _array, _array, _array, _archive, _bytes])(
            directory, chance
        )


def _parts(directory: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(directory / "model.skops") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write(directory: Path, parts: Sequence[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(directory / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts:
            archive.writestr(name, data)


def _on_parts(
    change: Callable[[dict[str, bytes], random.Random], object],
) -> Callable[[Path, random.Random], None]:
    def changed(directory: Path, chance: random.Random) -> None:
        try:
            parts = _parts(directory)
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError):
            # By the damage before.
            return
        change(parts, chance)
        _write(directory, list(parts.items()))

    return changed


@_on_parts
def _schema(parts: dict[str, bytes], chance: random.Random) -> None:
    """Another value, kind or class somewhere in what the file says of its objects."""
    try:
        schema = json.loads(parts["schema.json"])
    except (KeyError, ValueError):
        return
    places: list[tuple[Any, Any]] = []
    left = [schema]
    while left:
        node = left.pop()
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                left.append(node[key])
    node, key = chance.choice(places)
    other, its = chance.choice(places)
    match chance.randrange(5):
        case 0 if isinstance(node, dict):
            del node[key]
        case 1 if isinstance(other[its], str | int | float | bool):
            node[key] = other[its]
        case 2:
            # What skops keeps of plain values is JSON in JSON.
            contents = [at for at in places if at[1] == "content" and at[0].get("is_json")]
            node, key = chance.choice(contents or [(node, key)])
            node[key] = json.dumps(chance.choice(ODD))
        case 3 if isinstance(other[its], dict | list):
            node[key] = json.loads(json.dumps(other[its]))
        case _:
            node[key] = chance.choice(ODD)
    parts["schema.json"] = json.dumps(schema).encode()


@_on_parts
def _array(parts: dict[str, bytes], chance: random.Random) -> None:
    """Another number, kind, shape or length of an array; or a header that lies."""
    names = [name for name in parts if name.endswith(".npy")]
    if not names:
        return
    name = chance.choice(names)
    try:
        array = np.load(BytesIO(parts[name]), allow_pickle=False).copy()
    except (ValueError, EOFError, OSError, SyntaxError, MemoryError):
        return
    with np.errstate(all="ignore"):
        match chance.randrange(6):
            case 0 | 1 if array.size and array.dtype.kind in "iuf":
                odd = chance.choice([-1, 0, 1, 2**31 - 1, 255, np.nan, np.inf, 1e308, 1e-320, 1e9])
                at = chance.randrange(array.size)
                kept = np.nan_to_num(odd) if array.dtype.kind in "iu" else odd
                array.flat[at] = np.array(kept).astype(array.dtype)
            case 2:
                array = array.astype(chance.choice(["i1", "u8", "f4", "f8", "U3", "c16", "M8[s]"]))
            case 3:
                array = array.ravel()[: chance.randrange(array.size + 1)]
            case 4:
                array = np.resize(array, chance.choice([(0,), (3,), (array.size * 2,), (2, 2), ()]))
            case _:
                lie = chance.choice([b"99999999999999,", b"-1,", b"1000000000,", b"0,"])
                begin, _, rest = parts[name].partition(b"'shape': (")
                parts[name] = begin + b"'shape': (" + lie + rest
                return
    file = BytesIO()
    np.save(file, array)
    parts[name] = file.getvalue()


def _archive(directory: Path, chance: random.Random) -> None:
    """A part that is missing, there twice, swapped with another, or far larger unpacked."""
    try:
        parts = list(_parts(directory).items())
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError):
        return
    if not parts:
        return
    at = chance.randrange(len(parts))
    name, data = parts[at]
    match chance.randrange(4):
        case 0:
            del parts[at]
        case 1:
            parts[at] = name, chance.choice(parts)[1]
        case 2:
            parts.append((f"{len(parts)}.npy", bytes(200 << 20)))
        case _:
            parts[at] = name, data[: chance.randrange(len(data) + 1)]
    _write(directory, parts)


def _bytes(directory: Path, chance: random.Random) -> None:
    """Some bytes of a file replaced, or some of its lines written again."""
    file = directory / chance.choice(["MLmodel", "model.skops"])
    content = bytearray(file.read_bytes())
    for _ in range(chance.randint(1, 8)):
        if content:
            content[chance.randrange(len(content))] = chance.choice(b"\0\xff\n:&*[{a0" + content)
    file.write_bytes(content)


def _forked(
    function: str,
    arguments: Sequence[str],
    limits: Limits,
    files: Sequence[int] = (),
    **_: object,
) -> Any:  # noqa: ANN401 - as `limited.run`
    """`limited.run` without a server for each of hundreds of workers."""
    theirs, ours = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(ours, 1)
        limited.answer(limits._replace(cpu_s=30), function, *arguments, *map(str, files))
    os.close(ours)
    with os.fdopen(theirs, "rb") as file:
        written = file.read()
    status = os.waitpid(child, 0)[1]
    return limited.answered(os.waitstatus_to_exitcode(status), written, limits)


def _load(directory: Path) -> str:
    """Be a worker: load a model, and use it."""
    limited.run = _forked
    try:
        scorer = artifact.open_model(directory)
    except ModelRefusedError:
        return "refused"
    scores = np.concatenate([scorer.score(TEXTS), scorer.explain(TEXTS).scores])
    if not np.all((scores >= 0) & (scores <= 1)):
        return f"a score that is no probability: {scores}"
    scorer.coverage(TEXTS)
    return scorer.kind


def attempt(directory: Path) -> str:
    """What comes of loading a model: one of `FINE`, or what is wrong."""
    theirs, ours = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(theirs)
        # Nobody reads warnings of hundreds of broken models.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            verdict = _load(directory)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is a finding
            verdict = f"{type(error).__name__}: {error}"
        status = dict(
            line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
        )
        if int(status["VmHWM"].split()[0]) > MOST_MEMORY_KB:
            verdict += f", with {status['VmHWM'].strip()}"
        os.write(ours, verdict[:2000].encode())
        os._exit(0)
    os.close(ours)
    until = time.monotonic() + LONGEST_S
    while (ended := os.waitpid(worker, os.WNOHANG))[0] == 0:
        if time.monotonic() > until:
            os.kill(worker, signal.SIGKILL)
        time.sleep(0.005)
    with os.fdopen(theirs, "rb") as file:
        return file.read().decode() or f"the worker ended with {ended[1]}"


def main() -> None:
    """Search until the time or the number is over; exit code 1 if something was found."""
    given = options("tests.fuzz.models", __doc__, "models", "keeps the models that were found")
    seed = given.seed or random.SystemRandom().randrange(1, 2**32)
    until = time.monotonic() + (given.seconds or float("inf"))
    verdicts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="sentiment-fuzz-") as name:
        models = good_models(Path(name))
        for model in models:
            # Also imports and compiles what all others need, which takes memory by itself.
            with tempfile.TemporaryFile() as file:
                artifact.examine(str(model), str(file.fileno()))
            verdicts[f"good: {_load(model)}"] += 1
        run = 0
        while run != given.runs and time.monotonic() < until:
            chance = random.Random(f"{seed} {run}")  # noqa: S311 - of a search
            directory = Path(name) / "damaged"
            shutil.copytree(chance.choice(models), directory)
            damage(directory, chance)
            verdict = attempt(directory)
            verdicts[verdict if verdict in FINE else "found"] += 1
            if verdict not in FINE:
                print(f"seed {seed}, run {run}: {verdict}", file=sys.stderr)  # noqa: T201 - the answer
                shutil.copytree(directory, given.folder / f"model-{seed}-{run}", dirs_exist_ok=True)
            shutil.rmtree(directory)
            run += 1
    print(f"seed {seed}: {run} models", dict(verdicts))  # noqa: T201 - the answer
    sys.exit(bool(verdicts["found"]))


if __name__ == "__main__":
    main()
