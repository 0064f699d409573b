import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from flask import g
from flask.testing import FlaskClient

from sentiment import logs
from sentiment.errors import SettingsError
from tests.unit.web_apps import app
from web import services
from web.access import Shares, forwarded, network
from web.settings import WebSettings

KEY = "first-key"
Open = Callable[..., FlaskClient]
TEXT = {"text": "a"}


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Makes the app where no Kafka answers, with settings of the test's own."""
    with ExitStack() as open_apps:

        def make(**environment: str) -> FlaskClient:
            return open_apps.enter_context(app(monkeypatch, **environment)).test_client()

        yield make


def code(answer: object) -> object:
    """The code of an answer that is no success."""
    return answer.get_json()["error"]["code"]  # type: ignore[attr-defined]


def test_too_many_posts_are_told_when_to_come_again(open_page: Open) -> None:
    """Beyond the limit a POST is 429 with the time to wait; what only reads goes on."""
    client = open_page(WEB_RATE_LIMIT="2 per minute")
    assert [client.post("/api/events", json=TEXT).status_code for _ in range(2)] == [503, 503]
    answer = client.post("/api/feedback", json=TEXT)
    assert (answer.status_code, code(answer)) == (429, "too_many_requests")
    # The library counts whole seconds, and rounds up.
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    assert client.get("/api/status").status_code == 200
    elsewhere = {"REMOTE_ADDR": "203.0.113.9"}
    assert client.post("/api/events", json=TEXT, environ_base=elsewhere).status_code == 503


def test_a_limit_passes(open_page: Open) -> None:
    """After the time that it is told a caller may send again."""
    client = open_page(WEB_RATE_LIMIT="1 per second")
    # A busy machine may need more than a second from one to the next, but not each time.
    answer = client.post("/api/events", json=TEXT)
    while answer.status_code != 429:
        assert answer.status_code == 503
        answer = client.post("/api/events", json=TEXT)
    time.sleep(int(answer.headers["Retry-After"]))
    assert client.post("/api/events", json=TEXT).status_code == 503


@pytest.mark.parametrize(("proxies", "status"), [("0", 429), ("1", 503)])
def test_only_trusted_proxies_name_the_caller(open_page: Open, proxies: str, status: int) -> None:
    """A header of the caller's own makes nobody else of it, unless a proxy is known to set it."""
    client = open_page(WEB_RATE_LIMIT="1 per minute", WEB_TRUSTED_PROXIES=proxies)
    for address, wanted in (("192.0.2.1", 503), ("192.0.2.2", status)):
        headers = {"X-Forwarded-For": address}
        assert client.post("/api/events", json=TEXT, headers=headers).status_code == wanted


def test_https_is_for_good_where_a_proxy_says_that_it_is(open_page: Open) -> None:
    """A browser that came by https is told to come by nothing else; nobody else's word counts."""
    headers = {"X-Forwarded-Proto": "https"}
    for proxies, told in (("0", None), ("1", "max-age=31536000")):
        client = open_page(WEB_TRUSTED_PROXIES=proxies)
        answer = client.get("/livez", headers=headers)
        assert answer.headers.get("Strict-Transport-Security") == told
        assert "Strict-Transport-Security" not in client.get("/livez").headers


def test_each_key_has_a_limit_of_its_own(open_page: Open) -> None:
    """Right keys are counted apart; wrong ones count for their address, however many there are."""
    client = open_page(WEB_RATE_LIMIT="1 per minute", WEB_API_KEYS=f"{KEY}, second-key")
    answers = [
        client.post("/api/events", json=TEXT, headers={"X-API-Key": key}).status_code
        for key in (KEY, KEY, "second-key", "guess-1", "guess-2")
    ]
    assert answers == [503, 429, 503, 401, 429]


@pytest.mark.parametrize(
    ("address", "limited"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("", ""),
    ],
)
def test_addresses_of_one_caller_are_one(address: str, limited: str) -> None:
    """The half of an IPv6 address that its owner chooses freely does not count."""
    assert network(address) == limited


@pytest.mark.parametrize(
    ("header", "proxies", "address"),
    [
        ("", 1, "peer"),
        ("a", 0, "peer"),
        ("a, b", 1, "b"),
        ("a, b", 2, "a"),
        ("a, b", 3, "peer"),
    ],
)
def test_only_what_our_proxies_wrote_is_an_address(header: str, proxies: int, address: str) -> None:
    """Counted from the end, where those before cannot write; too few entries count for nothing."""
    assert forwarded("peer", header, proxies) == address


def test_what_is_shared_is_bounded_for_each_and_for_all() -> None:
    """One caller has its own bound, all of them have another; what is given back is there again."""
    shares = Shares(total=5, each=3)
    assert [shares.take("a", amount) for amount in (2, 2, 1)] == ["", "own", ""]
    assert [shares.take("b", amount) for amount in (3, 2)] == ["all", ""]
    shares.give("a", 3)
    assert [shares.take("b"), shares.take("c", 2), shares.take("c")] == ["", "", "all"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-API-Key": "wrong"}, 401),
        ({"Authorization": "Basic Zmlyc3Qta2V5"}, 401),
        ({"X-API-Key": KEY}, 503),
        ({"Authorization": f"Bearer {KEY}"}, 503),
        ({"X-API-Key": KEY, "Authorization": "Bearer of-a-proxy"}, 503),
    ],
)
@pytest.mark.parametrize("path", ["/api/events", "/api/feedback", "/api/batches"])
def test_sending_needs_a_key_where_keys_are_set(
    open_page: Open, path: str, headers: dict[str, str], status: int
) -> None:
    """Every POST asks for one of the keys, in either of two headers, and says so."""
    client = open_page(WEB_API_KEYS=f"other-key\n{KEY}\n")
    body = {"id": "a", "label": "positive", "text": "a"}
    answer = client.post(path, json=body, headers=headers)
    assert answer.status_code == status
    challenge = answer.headers.get("WWW-Authenticate", "")
    assert challenge.startswith("Bearer") == (status == 401)
    assert ("invalid_token" in challenge) == (headers == {"X-API-Key": "wrong"})
    assert client.get("/api/status").get_json()["sending_needs_key"] is True


def test_keys_come_from_a_file(open_page: Open, tmp_path: object) -> None:
    """The directory of secrets holds them as it holds others, and no setting shows them."""
    (tmp_path / "WEB_API_KEYS").write_text(f"{KEY}\n")  # type: ignore[operator]
    client = open_page(SENTIMENT_SECRETS_DIR=str(tmp_path))
    assert client.post("/api/events", json=TEXT).status_code == 401
    assert client.post("/api/events", json=TEXT, headers={"X-API-Key": KEY}).status_code == 503
    assert KEY not in repr(services.of(client.application).settings.of(WebSettings))


@pytest.mark.parametrize("limit", ["many", "0 per second", "5 per fortnight"])
def test_a_limit_that_is_none_is_refused(limit: str) -> None:
    """A wrong limit ends the start, and not the first request."""
    with pytest.raises(SettingsError, match="WEB_RATE_LIMIT"):
        WebSettings(rate_limit=limit)


def test_requests_keep_the_name_they_come_with(open_page: Open) -> None:
    """An id of the caller's comes back in header and error; a malformed one, or none, is made."""
    client = open_page()
    for sent in ("trace-1", "bad id\u00e9", None):
        answer = client.get("/api/absent", headers={"X-Request-ID": sent} if sent else {})
        name = answer.headers["X-Request-ID"]
        assert answer.get_json()["error"]["request_id"] == name
        assert (name == sent) == (sent == "trace-1")
        assert name
    assert client.get("/").headers["X-Request-ID"]


def test_log_lines_have_the_requests_name(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line that a request logs has its id; keys are in none."""
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    client = open_page(WEB_API_KEYS=KEY, WEB_RATE_LIMIT="1 per minute")
    logs.configure()

    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    inbox = services.of(client.application).inbox
    monkeypatch.setattr(inbox.outcomes, "find", fail)
    headers = {"X-Request-ID": "trace-2", "Authorization": f"Bearer {KEY}"}
    assert client.get("/api/results/a", headers=headers).status_code == 500
    for _ in range(2):
        client.post("/api/events", json=TEXT, headers=headers)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    [failed] = [line for line in lines if line["event"] == "request failed"]
    assert failed["request_id"] == "trace-2"
    assert any("ratelimit" in line["event"] for line in lines)
    assert not any(KEY in str(line) for line in lines)
    with client.application.app_context():
        assert "request_id" not in g


def test_no_other_site_is_let_in(open_page: Open) -> None:
    """No answer allows another origin; preflights get no leave; uploads of another site are 403."""
    client = open_page()
    foreign = {"Origin": "https://evil.example"}
    preflight = {**foreign, "Access-Control-Request-Method": "POST"}
    for answer in (
        client.options("/api/events", headers=preflight),
        client.get("/api/status", headers=foreign),
        client.post("/api/events", json=TEXT, headers=foreign),
    ):
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
    for headers, status in (
        (foreign, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://a.localhost"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://behind-a-proxy"}, 503),
        ({"Origin": "http://localhost"}, 503),
        ({}, 503),
    ):
        sent = client.post("/api/batches", data="a", content_type="text/plain", headers=headers)
        assert sent.status_code == status
