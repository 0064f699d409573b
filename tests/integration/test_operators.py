"""Claims about the operators' page on a real Kafka and a real registry."""

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from local.broker import LocalKafka
from local.settings import LocalSettings
from sentiment import wire
from sentiment.dead_letters.redrive import Sender
from sentiment.dead_letters.scan import Scan
from sentiment.kafka import topics
from sentiment.settings import Settings
from tests.integration.commands import sentiment
from tests.integration.dead_letters import bury, event, sent
from tests.integration.operators import BEARER, PAGE, asked, logged_in, press, words
from tests.unit.operators import TOKEN
from tests.waiting import LONGEST_S, until
from web.operators import redrives, routes

HOUR_MS = 3_600_000


@pytest.fixture
def client(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """An operator on the test's own topics."""
    monkeypatch.setenv("OPERATORS_TOKEN", TOKEN)
    with logged_in(settings) as browser:
        yield browser


def figures(page: str) -> dict[str, str]:
    """The figures of a page by their names."""
    found = re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", page)
    return dict(found)


def test_codes_that_others_make_up_are_bounded(
    settings: Settings, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond so many codes, all others are counted as one."""
    monkeypatch.setattr(routes, "MAX_CODES", 2)
    for number in range(4):
        bury(settings, [b"{}"], headers=[(wire.ERROR_CODE, f"made-up-{number}")])
    said = asked(client, PAGE)
    assert len(said["letters"]) == 4
    assert said["counts"]["(other)"]["waiting"] == 2
    assert len(said["counts"]) == 3


def test_list_filters_and_counts(settings: Settings, client: FlaskClient) -> None:
    """Newest first; code, source, time and state choose; the counts by code are of all codes."""
    now_ms = int(time.time() * 1000)
    bury(settings, [event(1, source="shop"), event(2)], "too_large", 1, timestamp_ms=now_ms)
    bury(settings, [b"{}", b"[]"], "missing_text", 2, timestamp_ms=now_ms - 2 * HOUR_MS)
    assert sentiment("dlq", "redrive", "--id", "1-1").returncode == 0
    for query, ids in (
        ("", ["1-1", "1-0", "2-1", "2-0"]),
        ("?code=missing_text", ["2-1", "2-0"]),
        ("?source=shop", ["1-0"]),
        ("?since=1h", ["1-1", "1-0"]),
        ("?state=waiting&code=too_large", ["1-0"]),
        ("?source=nobody", []),
    ):
        said = asked(client, f"{PAGE}{query}")
        assert [letter["id"] for letter in said["letters"]] == ids, query
        page = client.get(f"{PAGE}{query}").text
        assert re.findall(r'class="letter-id" href="[^"]*">([^<]*)<', page) == ids, query
    counts = asked(client, f"{PAGE}?code=too_large")["counts"]
    assert counts == {
        "too_large": {"waiting": 1, "redriven": 1},
        "missing_text": {"waiting": 2, "redriven": 0},
    }
    for query in ("?since=yesterday", "?page=0", "?page=9", "?page=x", f"?source={'x' * 300}"):
        assert client.get(f"{PAGE}{query}").status_code == 400, query


def test_list_is_bounded_and_paged(
    settings: Settings, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks at the latest of a long topic only, keeps some, and says what it left out."""
    monkeypatch.setattr(routes, "LATEST", 40)
    monkeypatch.setattr(routes, "KEPT", 7)
    monkeypatch.setattr(routes, "ROWS", 5)
    bury(settings, [event(number) for number in range(100)], partition=3)
    first, second = (asked(client, f"{PAGE}?page={page}") for page in (1, 2))
    assert [letter["id"] for letter in first["letters"]] == [f"3-{99 - n}" for n in range(5)]
    assert [letter["id"] for letter in second["letters"]] == ["3-94", "3-93"]
    # Forty over four partitions, three of which are empty.
    assert (first["pages"], first["matching"], first["not_looked_at"]) == (2, 10, 90)
    assert "90 older places" in client.get(PAGE).text


def test_one_is_shown_as_text(settings: Settings, client: FlaskClient) -> None:
    """Tags, bidi controls, NUL and bytes that are no UTF-8 are shown, and none does anything."""
    hostile = b"<script>alert(1)</script>\n\xff\x00\xe2\x80\xae" + "<é".encode()
    place = {wire.ERROR_TOPIC: b"<em>", wire.ERROR_PARTITION: b"1", wire.ERROR_OFFSET: b"2",
             wire.ERROR_MESSAGE: b"<img src=x>\x1b[2J", wire.ERROR_CODE: b"<i>"}  # fmt: skip
    bury(settings, [hostile], headers=[*place.items(), ("<own>", b"\x9b<u>")])
    for path in (PAGE, f"{PAGE}/0-0"):
        page = client.get(path).text
        for tag in ("<script>", "<img src=x", "<em>", "<i>", "<u>", "<own>"):
            assert tag not in page
        assert "\u202e" not in page
        assert "\x1b" not in page
        assert "\x00" not in page
    escaped = "".join(re.findall(r'<span class="escape">([^<]*)</span>', page))
    for seen in (r"\n", r"\xff\x00\u202e", r"\x1b", r"\x9b"):
        assert seen in escaped
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    said = asked(client, f"{PAGE}/0-0")["letter"]
    assert said["value_base64"]
    for absent in ("0-1", "9-0", f"0-{2**63}", f"{2**31}-0"):
        assert client.get(f"{PAGE}/{absent}").status_code == 404


def test_one_is_sent_back_once(settings: Settings, client: FlaskClient) -> None:
    """The button sends it with key and headers, as the command does; a second press sends nothing,
    here or by the command.
    """  # noqa: D205 - one claim
    bury(settings, [event(0), event(1)], partition=2)
    assert "Send it back</button>" in client.get(f"{PAGE}/2-1").text
    with capture_logs() as said:
        assert "Sent back. The workers" in words(press(client, f"{PAGE}/2-1/redrive"))
    (ended,) = [line for line in said if line["event"] == "redrive ended"]
    assert (ended["operator"], ended["selection"], ended["redriven"]) == ("token", "2-1", 1)
    page = words(press(client, f"{PAGE}/2-1/redrive"))
    assert "It had been sent back before: nothing was sent." in page
    assert "It has been sent back already." in page
    assert "Send it back</button>" not in client.get(f"{PAGE}/2-1").text
    assert sentiment("dlq", "redrive", "--id", "2-1").stdout.startswith("Redriven: 0;")
    assert sent(settings) == [event(1)]


def test_what_would_only_come_back_is_left(settings: Settings, client: FlaskClient) -> None:
    """A value that is still no event has no button, and a forged press sends nothing."""
    bury(settings, [b'{"no": "text"}'], "missing_text")
    page = client.get(f"{PAGE}/0-0").text
    assert "It would only come back: missing_text" in words(page)
    assert "Send it back</button>" not in page
    assert "Left where it is: missing_text" in words(press(client, f"{PAGE}/0-0/redrive"))
    assert sent(settings) == []


def test_the_filtered_ones_are_sent_back(settings: Settings, client: FlaskClient) -> None:
    """The page says before how many it will be, and sends those: what comes after is not meant."""
    good = sorted(event(number, source="shop") for number in range(700))
    bury(settings, good[:650], "model_failed", 0)
    bury(settings, [*good[650:], b"{}"], "model_failed", 1)
    bury(settings, [event(1)], "too_large", 1)
    query = "?code=model_failed"
    page = client.get(f"/operators/redrive{query}").text
    assert "Send 700 back?" in page
    assert figures(page) == {
        "Would be sent": "700", "Would be left: still no valid event": "1", "Sent back before": "0",
    }  # fmt: skip
    hidden = dict(re.findall(r'name="(code|source|since|until)" value="([^"]*)"', page))
    later = [event(9000)]
    # Some milliseconds later than the look.
    time.sleep(0.05)
    bury(settings, later, "model_failed", 3)
    done = press(client, "/operators/redrives", **hidden)
    assert figures(done) == {"Sent back": "700", "Left": "1", "Sent back before": "0"}
    assert "missing_text" in done
    assert sent(settings) == good
    again = press(client, "/operators/redrives", **hidden)
    assert figures(again) == {"Sent back": "0", "Left": "1", "Sent back before": "700"}
    assert sent(settings) == good


def test_one_redrive_at_a_time(
    settings: Settings, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one runs a second is refused with a sentence; it can be watched, and stopped."""
    bury(settings, [event(number) for number in range(10)])
    go, real = threading.Event(), Sender

    def slow(given: Settings) -> Any:  # noqa: ANN401 - a sender
        assert go.wait(LONGEST_S)
        return real(given)

    monkeypatch.setattr(redrives, "Sender", slow)
    monkeypatch.setattr(routes, "SENT_BACK_S", 0.1)
    program = client.application.test_client()
    begun = program.post("/operators/redrives", data={"until": time.time()}, headers=BEARER)
    assert begun.status_code == 202
    path = f"/operators/redrives/{begun.get_json()['run']['id']}"
    refused = program.post("/operators/redrives", data={"until": time.time()}, headers=BEARER)
    assert (refused.status_code, refused.get_json()["error"]["message"]) == (
        409, "A redrive is running already, begun by token.",
    )  # fmt: skip
    assert "A redrive is running already" in press(client, f"{PAGE}/0-0/redrive")
    assert "A redrive is running" in client.get(PAGE).text
    watched = client.get(path)
    assert watched.headers["Refresh"] == "2"
    assert "Refresh" not in client.get(f"{path}?still=1").headers
    assert program.post(f"{path}/stop", headers=BEARER).status_code == 202
    go.set()
    run = redrives.Redrives.find(client.application.extensions["operators.redrives"], path[-32:])
    assert run
    assert run.ended.wait(LONGEST_S)
    assert "It was stopped" in client.get(path).text
    assert sent(settings) == []
    assert client.get("/operators/redrives/unknown").status_code == 404


@pytest.mark.parametrize("until", ["", "nan", "-1", "inf", "tomorrow", "1e300"])
def test_nothing_is_sent_back_without_a_limit(
    settings: Settings, client: FlaskClient, until: str
) -> None:
    """A program that doesn't say until when, or says it wrongly, sends nothing."""
    bury(settings, [event(0)])
    program = client.application.test_client()
    answer = program.post("/operators/redrives", data={"until": until}, headers=BEARER)
    assert answer.status_code == 400
    assert sent(settings) == []


def test_a_redrive_that_is_fenced_says_so(
    settings: Settings, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the command takes over in between, nothing is doubled and the run's page tells it."""
    values = sorted(event(number) for number in range(3))
    bury(settings, values)
    enter = Scan.__enter__

    def meanwhile(scan: Any) -> Any:  # noqa: ANN401 - a scan
        # Once, and only here: the command runs in a process of its own.
        assert sentiment("dlq", "redrive", "--all").stdout == "Redriven: 3.\n"
        return enter(scan)

    monkeypatch.setattr(Scan, "__enter__", meanwhile)
    program = client.application.test_client()
    begun = program.post("/operators/redrives", data={"until": time.time()}, headers=BEARER)
    path = f"/operators/redrives/{begun.get_json()['run']['id']}"
    until(lambda: asked(client, path)["run"]["ended"])
    run = asked(client, path)["run"]
    assert run["problem"].startswith("Another redrive has begun and takes over")
    assert sent(settings) == values


def test_counting_has_an_end(
    settings: Settings, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are too many to count in time the page says so instead of waiting."""
    bury(settings, [event(number) for number in range(10)])
    monkeypatch.setattr(routes, "COUNT_S", -1.0)
    assert "Send at least 0 back?" in client.get("/operators/redrive").text


def test_kafka_away_is_a_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When the brokers are gone each page says so in a sentence with 503; when they are back it
    goes on by itself.
    """  # noqa: D205 - one claim
    monkeypatch.setenv("OPERATORS_TOKEN", TOKEN)
    monkeypatch.setenv("KAFKA_CONNECT_TIMEOUT_S", "10")
    broker = LocalKafka(tmp_path, LocalSettings().cache_dir, print)
    with broker:
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
        settings = Settings()
        topics.create(settings)
        bury(settings, [event(0)])
        with logged_in(settings) as client:
            assert client.get(PAGE).status_code == 200
            broker.kill(0)
            # Known to nobody yet, then told by the watch.
            for path in (PAGE, f"{PAGE}/0-0", "/operators/redrive"):
                answer = client.get(path)
                assert answer.status_code == 503, path
                assert "Traceback" not in answer.text
                assert "<h1" in answer.text
            broker.start(0)
            broker.wait_until_ready()
            until(lambda: client.get(PAGE).status_code == 200)
