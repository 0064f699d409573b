"""Claims about models that harm who loads them, and about the process that looks at them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sentiment import limited
from sentiment.errors import ModelRefusedError
from sentiment.limited import BrokenLimitError, Limits
from sentiment.registry.artifact import open_model
from tests.unit.small_models import save
from tests.unit.test_hostile_models import pack, parts

LIMITS = Limits(memory=256 << 20, cpu_s=60, file=1 << 20, wall_s=120)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A small good model to damage."""
    return save(tmp_path / "model")


@pytest.mark.parametrize(
    ("attack", "limits", "reason"),
    [
        ("len(bytearray(10**9))", LIMITS, "256 MiB"),
        ("sum(iter(int, 1))", LIMITS._replace(cpu_s=1), "1 s of a processor"),
        ("__import__('time').sleep(600)", LIMITS._replace(wall_s=5), "more than 5 s"),
        ("__import__('os').abort()", LIMITS, "signal 6"),
        ("__import__('os').write(1, b'[' * 10**6)", LIMITS, "exit code 0"),
        ("open('full', 'wb').write(bytes(10**7))", LIMITS, "File too large"),
        ("1 / 0", LIMITS, "ZeroDivisionError"),
        ("int('x' * 10**6)", LIMITS, "ValueError"),
    ],
)
def test_a_child_that_breaks_a_limit_is_a_sentence(
    attack: str, limits: Limits, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory, time, files, a crash, an answer without end: each ends the child, and is told."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BrokenLimitError, match=reason) as told:
        limited.run("builtins:eval", [attack], limits)
    assert len(str(told.value)) < 2 * limited.MOST_REASON


def test_a_server_that_is_gone_is_started_anew() -> None:
    """The process that forks children may be killed at any time: the next call has another."""
    assert limited.run("os:getcwd", [], LIMITS) == str(Path.cwd())
    server = limited._server._process  # noqa: SLF001 - what is to be killed
    assert server is not None
    server.kill()
    server.wait()
    assert limited.run("os:getcwd", [], LIMITS) == str(Path.cwd())


ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)

# Opens a model in little memory and says what came of it, and what it took.
OPEN = """
import resource, sys
from pathlib import Path
from sentiment.registry.artifact import open_model
resource.setrlimit(resource.RLIMIT_DATA, (400 << 20,) * 2)
try:
    open_model(Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__, len(str(error)))
"""


@pytest.mark.parametrize(
    "content",
    [
        f"{ALIASES}flavors: {{sklearn: {{serialization_format: *j, pickled_model: x}}}}\n",
        "[" * 60_000,
        "flavors: {sklearn: {serialization_format: skops, pickled_model: " + "x" * 50_000 + "}}",
        "x: " + "1" * 60_000,
        "x" * 10**7,
        "!!python/object/apply:os.abort []",
        "flavors: {sklearn: {serialization_format: skops, pickled_model: [a]}}",
        'flavors: {sklearn: {serialization_format: skops, pickled_model: "a\\0"}}',
    ],
    ids=["aliases", "deep", "name", "number", "large", "tag", "no-name", "nul"],
)
def test_an_mlmodel_that_unfolds_is_refused(directory: Path, content: str) -> None:
    """Aliases of aliases, nesting and sizes end in a short sentence, in bounded memory."""
    (directory / "MLmodel").write_text(content)
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(directory)],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    kind, length = done.stdout.split()
    assert kind == "ModelRefusedError"
    assert int(length) < 2 * limited.MOST_REASON


def test_what_one_thing_of_a_model_claims_is_refused_by_a_worker(directory: Path) -> None:
    """An array of five entries that says it has 10^13, and one bad index: refused, not raised."""
    held = parts(directory)
    text = json.dumps(json.loads(held["schema.json"]))
    # The vocabulary's first column, far outside of all arrays.
    changed = text.replace('"content": "0"', '"content": "987654321"')
    assert changed != text
    pack(directory, {**held, "schema.json": changed.encode()}.items())
    with pytest.raises(ModelRefusedError, match="other columns than its own"):
        open_model(directory)
    name = next(name for name in held if name.endswith(".npy"))
    lie = held[name].replace(b"'shape': (", b"'shape': (9999999999999, ", 1)
    pack(directory, {**held, name: lie}.items())
    with pytest.raises(ModelRefusedError):
        open_model(directory)
