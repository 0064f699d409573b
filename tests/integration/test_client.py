"""Claims about `sentiment.client`, in an app with modules of its own called like ours."""

import subprocess
import sys
from pathlib import Path

import pytest

from sentiment.client import Classifier, ResultReader
from sentiment.errors import BrokerError, InputError
from sentiment.settings import Settings
from tests.integration.conftest import StartWorker
from tests.integration.workers import PATIENCE_S, read_results, send

OURS = ("producer", "web", "local", "trainer", "stream_worker")


def test_its_examples_run_where_an_app_has_our_names(
    settings: Settings, start_worker: StartWorker, tmp_path: Path
) -> None:
    """The docstring's examples do what they say, beside a producer.py and a web.py of the app's."""
    del settings
    start_worker()
    for name in OURS:
        (tmp_path / f"{name}.py").write_text("raise AssertionError('this is the app's own')\n")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import doctest, sentiment.client\n"
        "done = doctest.testmod(sentiment.client)\n"
        "assert done.attempted >= 6 and not done.failed, done\n"
        f"assert not {set(OURS)} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_results_are_read_from_where_one_wants(
    settings: Settings, start_worker: StartWorker
) -> None:
    """Up to the present end, or on and on; what didn't come is an error in time."""
    start_worker()
    send(settings, [b'{"text":"Great.","id":"%d"}' % number for number in range(20)])
    with ResultReader("beginning", settings) as results:
        assert results.wait_for("19", PATIENCE_S).sentiment == "positive"
    read_results(settings, 20)
    with ResultReader("1h", settings) as results:
        assert {result.id for result in results.rest()} == set(map(str, range(20)))
    with ResultReader(settings=settings) as results:
        with pytest.raises(BrokerError, match="No result of 'x' came within 1 s"):
            results.wait_for("x", 1)
        send(settings, [b'{"text":"Awful.","id":"new"}'])
        assert next(iter(results)).id == "new"
    with pytest.raises(InputError):
        ResultReader("yesterday-ish", settings)


def test_texts_are_classified_here() -> None:
    """In order and explained; one that is none is named."""
    classifier = Classifier()
    texts = ["I loved it.", "A boring, terrible film."] * 700
    answers = classifier.classify(texts)
    assert [answer.sentiment for answer in answers] == ["positive", "negative"] * 700
    [explained] = classifier.classify(texts[:1], explain=True)
    assert explained[:3] == answers[0][:3]
    assert explained.explanation is not None
    assert explained.explanation.parts
    assert classifier.classify([]) == []
    with pytest.raises(InputError, match=r"Text 1: .*\(empty_text\)"):
        classifier.classify(["a", " "])
