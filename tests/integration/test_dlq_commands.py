"""Claims about what `sentiment dlq` selects, shows, refuses and leaves."""

import base64
import json
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from sentiment import wire
from sentiment.dead_letters.command import dlq
from sentiment.kafka import clients
from sentiment.settings import Settings
from tests.integration.commands import PATIENCE_S, command, records, sentiment
from tests.integration.dead_letters import bury, event, listed, sent

HOUR_MS = 3_600_000


def bury_some(settings: Settings) -> None:
    """Dead letters of three codes, two sources, two partitions and two times."""
    now_ms = int(time.time() * 1000)
    old = [event(number, source="shop") for number in range(3)]
    bury(settings, old, "model_failed", 1, timestamp_ms=now_ms - 2 * HOUR_MS)
    bury(settings, [event(9, source="app"), event(10)], "too_large", 1)
    bury(settings, [b'{"source": "shop"}', b"\xff"], "missing_text", 2)


def test_the_same_options_select_for_list_and_redrive(settings: Settings) -> None:
    """Codes, sources, times and ids: what `list` shows is what `redrive` means."""
    bury_some(settings)
    for chosen, ids in (
        ("", ["1-0", "1-1", "1-2", "1-3", "1-4", "2-0", "2-1"]),
        ("--code too_large", ["1-3", "1-4"]),
        ("--code too_large --code missing_text", ["1-3", "1-4", "2-0", "2-1"]),
        ("--source shop", ["1-0", "1-1", "1-2", "2-0"]),
        ("--source shop --code missing_text", ["2-0"]),
        ("--since 1h", ["1-3", "1-4", "2-0", "2-1"]),
        ("--until 1h", ["1-0", "1-1", "1-2"]),
        ("--since 3h --until 1h --id 1-1", ["1-1"]),
        ("--since 1h --until 1h", []),
        ("--id 2-1 --id 1-4", ["1-4", "2-1"]),
    ):
        # In this process, as each start of another takes a second.
        shown = CliRunner().invoke(dlq, ["list", "--json", *chosen.split()])
        assert sorted(json.loads(line)["id"] for line in shown.stdout.splitlines()) == ids, chosen
        dry = ["redrive", "--dry-run", "--json", *(chosen or "--all").split()]
        meant = CliRunner().invoke(dlq, dry)
        assert sorted(json.loads(line)["id"] for line in meant.stdout.splitlines()) == ids, chosen


def test_list_counts_by_code(settings: Settings) -> None:
    """A line for each, and at the end how many of each code wait and were redriven."""
    bury_some(settings)
    name = f"{settings.topics.events}-1-1"
    assert sentiment("dlq", "redrive", "--code", "too_large", "--id", name).returncode == 0
    done = sentiment("dlq", "list")
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert Counter(row[2] for row in rows[1:8]) == {
        "model_failed": 3, "too_large": 2, "missing_text": 2,
    }  # fmt: skip
    assert rows[-4:] == [
        ["model_failed", "3", "0"], ["too_large", "1", "1"], ["missing_text", "2", "0"],
        ["all", "6", "1"],
    ]  # fmt: skip
    done = sentiment("dlq", "list", "--counts", "--json")
    assert json.loads(done.stdout) == {
        "waiting": {"model_failed": 3, "too_large": 1, "missing_text": 2},
        "redriven": {"too_large": 1},
    }


def test_only_committed_letters_are_seen(settings: Settings) -> None:
    """A dead letter of an aborted transaction is none, for any of the commands."""
    producer = clients.new_producer(settings.kafka, transactional_id=settings.topics.results)
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(settings.topics.dead_letters, event(1), partition=0)
    assert producer.flush(30) == 0
    producer.abort_transaction(30)
    assert listed() == []
    done = sentiment("dlq", "redrive", "--all")
    assert (done.returncode, done.stdout) == (0, "Redriven: 0.\n")


def test_show_has_all_about_one_and_harms_no_terminal(settings: Settings) -> None:
    """Reason, headers, key and value; escaped for a person, whole for a program, raw for a pipe."""
    value = b'\x1b]0;owned\x07{"text": "\xff' + b"x" * 3000
    bury(settings, [b"first", value], "invalid_utf8", 2)
    place = f"{settings.topics.events}-2-1"
    shown = sentiment("dlq", "show", place, "--limit", "40").stdout
    assert "dead letter  2-1" in shown
    assert "invalid_utf8" in shown
    assert place in shown
    assert "own header   own: \\xff" in shown
    assert "\\x1b]0;owned\\x07" in shown
    assert "more" in shown
    assert all(line.isprintable() for line in shown.splitlines())
    said = json.loads(sentiment("dlq", "show", "2-1", "--json").stdout)
    assert base64.b64decode(said["value_base64"]) == value
    assert said["error_headers"][wire.ERROR_CODE] == "invalid_utf8"
    raw = subprocess.run(
        command("dlq", "show", "2-1", "--raw"), capture_output=True, check=True, timeout=PATIENCE_S
    )
    assert raw.stdout == value
    assert all(line.isprintable() for line in sentiment("dlq", "list").stdout.splitlines())


def test_what_can_t_be_sent_is_left_and_told(settings: Settings) -> None:
    """Bad after mending, failed, too late, foreign: each left with its reason, the rest is sent."""
    values = [b"good", b"same", b"fail", b"slow", b"none", b"large"]
    bury(settings, values)
    bury(settings, [b"good"], partition=1, headers=[])
    bury(settings, [b"good"], partition=2, headers=[
        (wire.ERROR_TOPIC, b"elsewhere"), (wire.ERROR_PARTITION, b"0"),
        (wire.ERROR_OFFSET, b"0"),
    ])  # fmt: skip
    through = """read -r word; case $word in
      good) echo '{"text": "good"}' ;; same) echo $word ;; fail) echo why >&2; exit 7 ;;
      slow) sleep 1000 ;; large) echo '{"text": "'; head -c 70000 /dev/zero ;;
    esac"""
    done = sentiment("dlq", "redrive", "--all", "--through", through, "--time-limit", "3")
    assert done.returncode == 1
    assert done.stdout == "Redriven: 1; left: 7, see above.\n"
    reasons = dict(line.removeprefix("Left ").split(": ", 1) for line in done.stderr.splitlines())
    for name, words in {
        "0-1": "not_json", "0-2": "ended with code 7: why", "0-3": "longer than 3 s",
        "0-4": "wrote nothing", "0-5": "too_large", "1-0": "headers", "2-0": "elsewhere",
    }.items():  # fmt: skip
        assert words in reasons[name]
    assert sent(settings) == [b'{"text": "good"}']
    assert sum(said["redriven"] for said in listed()) == 1


def test_a_value_that_would_only_come_back_is_left(settings: Settings) -> None:
    """Without a mending command too: what is no event has no use on the events topic."""
    bury(settings, [b"not JSON", event(1)])
    done = sentiment("dlq", "redrive", "--all", "--json")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted((s["id"], s["outcome"]) for s in said) == [("0-0", "left"), ("0-1", "redriven")]
    assert sent(settings) == [event(1)]


def test_a_dry_run_sends_nothing_and_fences_nobody(settings: Settings, tmp_path: Path) -> None:
    """It shows what would be sent, while a real run goes on undisturbed."""
    bury(settings, [b'{"body": "fine"}'], "missing_text")
    through = "sed s/body/text/"
    begun, go = tmp_path / "begun", tmp_path / "go"
    wait = f"touch {begun}; while [ ! -e {go} ]; do sleep 0.05; done; {through}"
    with subprocess.Popen(
        command("dlq", "redrive", "--all", "--through", wait, "--time-limit", "60"),
        stdout=subprocess.PIPE,
    ) as real:
        deadline = time.monotonic() + PATIENCE_S
        while not begun.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        done = sentiment("dlq", "redrive", "--all", "--through", through, "--dry-run")
        assert done.returncode == 0, done.stderr
        assert (
            f'0-0 to {settings.topics.events} partition 0, after 1 attempt: {{"text": "fine"}}'
            in (done.stdout)
        )
        assert done.stdout.endswith("Would redrive 1.\n")
        assert sent(settings) == []
        assert records(settings, settings.topics.redriven) == []
        go.touch()
        assert real.wait(PATIENCE_S) == 0
    assert sent(settings) == [b'{"text": "fine"}']


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["redrive"], "or --all"),
        (["redrive", "--all", "--code", "not_json"], "--all goes without"),
        (["redrive", "--id", "x"], "'x' is no id"),
        (["redrive", "--id", "0-99"], "No dead letter 0-99 stands"),
        (["show", "0-99"], "No dead letter 0-99 stands"),
        (["list", "--code", "nonsense"], "Invalid value for '--code'"),
        (["list", "--since", "soon"], "--since 'soon'"),
    ],
)
def test_wrong_use_is_told(settings: Settings, arguments: list[str], complaint: str) -> None:
    """A sentence, exit code 2, no traceback, and nothing is sent."""
    bury(settings, [event(1)])
    done = sentiment("dlq", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert sent(settings) == []


def test_a_missing_topic_is_told(settings: Settings) -> None:
    """On a cluster that has no topic of marks yet, how to create it."""
    bury(settings, [event(1)])
    for arguments in (["list"], ["redrive", "--all"]):
        done = sentiment("dlq", *arguments, TOPICS_DEAD_LETTERS="absent")
        assert done.returncode == 1
        assert "sentiment topics" in done.stderr
        assert "Traceback" not in done.stderr
