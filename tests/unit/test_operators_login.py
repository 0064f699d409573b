"""Claims about who gets to the operators' page, and who doesn't."""

import time
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from sentiment.errors import SettingsError
from tests.unit.operators import SECRET, TOKEN, app, form_token, log_in
from web.operators import login as module
from web.settings import OperatorsSettings

PAGES = (
    "/operators", "/operators/", "/operators/login", "/operators/models", "/operators/dead-letters",
    "/operators/dead-letters/0-0", "/operators/redrive", "/operators/redrives/x",
)  # fmt: skip
MODELS = "/operators/models"
PROXY = {"OPERATORS_USER_HEADER": "X-Forwarded-User", "OPERATORS_PROXY_SECRET": SECRET}


@pytest.fixture
def by_token(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The app that a token opens."""
    with app(monkeypatch, OPERATORS_TOKEN=TOKEN) as made:
        yield made


@pytest.fixture
def by_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The app behind a proxy that logs people in."""
    with app(monkeypatch, **PROXY) as made:
        yield made


def inside(client: FlaskClient, **headers: str) -> bool:
    """Whether somebody is let in: with Kafka away that is a page which says so."""
    answer = client.get("/operators/dead-letters", headers=headers)
    assert answer.status_code in {303, 401, 403, 503}
    return answer.status_code == 503


def test_not_configured_there_is_no_such_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token and a proxy every path is 404, whatever is sent, and no cookie is set."""
    with app(monkeypatch) as made:
        client = made.test_client()
        for path in PAGES:
            for headers in ({}, {"X-Forwarded-User": "ada"}, {"Authorization": "Bearer "}):
                assert client.get(path, headers=headers).status_code == 404
                assert client.post(path, headers=headers).status_code == 404
        assert "operators" not in client.get("/").text
        assert "Set-Cookie" not in client.get("/").headers
        assert not made.jinja_env.globals.get("operators")


def test_every_page_asks_for_the_login(by_token: Flask) -> None:
    """Nothing but the form is shown to a stranger; none of it may be kept by a cache."""
    for rule in by_token.url_map.iter_rules():
        if not rule.rule.startswith("/operators") or rule.endpoint in module.OPEN:
            continue
        path = rule.rule.replace("<int:partition>-<int:offset>", "0-0").replace("<name>", "x")
        client = by_token.test_client()
        if "POST" in (rule.methods or ()):
            token = form_token(client.get("/operators/login"))
            answer = client.post(path, data={"csrf_token": token})
        else:
            answer = client.get(path)
        assert answer.status_code == 303, path
        assert answer.location.startswith("/operators/login")
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_token_opens_and_logout_closes(by_token: Flask) -> None:
    """In with the token, out with the button; the page says when Kafka is away, and stays one."""
    client = by_token.test_client()
    assert not inside(client)
    assert log_in(client).location == "/operators/dead-letters"
    assert inside(client)
    page = client.get("/operators/dead-letters")
    assert "No Kafka" in page.text or "Not connected" in page.text
    left = client.post("/operators/logout", data={"csrf_token": form_token(page)})
    assert left.status_code == 303
    assert not inside(client)


def test_signing_out_ends_the_session_itself(by_token: Flask) -> None:
    """A copy of the cookie, from before the sign-out, opens nothing after it; others stay."""
    client, copy, other = (by_token.test_client() for _ in range(3))
    log_in(client)
    log_in(other)
    cookie = client.get_cookie("sentiment-operator", path="/operators")
    assert cookie is not None
    copy.set_cookie(cookie.key, cookie.value, path="/operators")
    assert inside(copy)
    page = client.get("/operators/dead-letters")
    client.post("/operators/logout", data={"csrf_token": form_token(page)})
    assert not inside(copy)
    assert inside(other)


def test_a_stranger_sends_no_more_than_a_login(by_token: Flask) -> None:
    """Of somebody who isn't known yet no large form is read."""
    client = by_token.test_client()
    assert client.post("/operators/login", data={"token": "a" * 20_000}).status_code == 413


def test_the_cookie_is_for_this_page_alone(by_token: Flask) -> None:
    """HttpOnly, SameSite=Strict, below /operators; Secure by https; the API has none."""
    for scheme in ("http", "https"):
        client = by_token.test_client()
        base = f"{scheme}://localhost"
        form = {"csrf_token": form_token(client.get("/operators/login", base_url=base))}
        answer = client.post("/operators/login", data={**form, "token": TOKEN}, base_url=base)
        flags = {part.strip() for part in answer.headers["Set-Cookie"].split(";")[1:]}
        assert {"HttpOnly", "SameSite=Strict", "Path=/operators"} <= flags
        assert ("Secure" in flags) == (scheme == "https")
    for path in ("/", "/api/status", "/livez"):
        assert "Set-Cookie" not in client.get(path).headers


def test_behind_a_proxy_that_ends_https_the_cookie_is_secure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OPERATORS_HTTPS marks the cookie although the request came by http."""
    with app(monkeypatch, OPERATORS_TOKEN=TOKEN, OPERATORS_HTTPS="true") as made:
        assert "Secure" in made.test_client().get("/operators/login").headers["Set-Cookie"]


def test_wrong_tokens_are_refused_and_soon_not_even_looked_at(by_token: Flask) -> None:
    """After five wrong ones from an address neither form nor header takes the right one; another
    address is not concerned.
    """  # noqa: D205 - one claim
    client = by_token.test_client()
    for wrong in ("", "x", TOKEN[:-1], TOKEN + "x", "tökén of some length é"):
        answer = log_in(client, wrong)
        assert answer.status_code == 403
        assert not inside(client)
    answer = log_in(client)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get(MODELS, headers=bearer).status_code == 429
    elsewhere = by_token.test_client()
    elsewhere.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    assert log_in(elsewhere).status_code == 303


def test_bearer_is_for_programs(by_token: Flask) -> None:
    """With the token in its request a program gets JSON, needs no form token and gets no cookie;
    with a wrong one it is told so.
    """  # noqa: D205 - one claim
    client = by_token.test_client()
    right, wrong = ({"Authorization": f"Bearer {token}"} for token in (TOKEN, "x" * 20))
    for answer in (
        client.get("/operators/dead-letters", headers=right),
        client.post("/operators/redrives", headers=right),
    ):
        assert answer.status_code == 503
        assert answer.get_json()["error"]["message"]
        assert "Set-Cookie" not in answer.headers
    assert client.get("/operators/dead-letters", headers=wrong).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-User": "ada"},
        {"X-Forwarded-User": "ada", "X-Proxy-Secret": ""},
        {"X-Forwarded-User": "ada", "X-Proxy-Secret": SECRET + "x"},
        {"X-Forwarded-User": "", "X-Proxy-Secret": SECRET},
        {"X-Proxy-Secret": SECRET},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {SECRET}"},
    ],
)
def test_a_header_that_anybody_can_send_is_no_login(
    by_proxy: Flask, headers: dict[str, str]
) -> None:
    """A user's name counts beside the proxy's secret only, and the secret beside a name only."""
    assert not inside(by_proxy.test_client(), **headers)


def test_the_proxy_vouches_for_its_user(by_proxy: Flask) -> None:
    """With both headers the user is in, each request by the proxy's word; without, out again."""
    client = by_proxy.test_client()
    with capture_logs() as said:
        for _ in range(3):
            assert inside(client, **{"X-Forwarded-User": "ada@b.c", "X-Proxy-Secret": SECRET})
    logins = [line for line in said if line["event"] == "operator login"]
    assert [(line["operator"], line["outcome"]) for line in logins] == [("ada@b.c", "ok")]
    assert not inside(client)
    # There is no form where there is no token.
    assert client.get("/operators/login", follow_redirects=True).status_code == 403


def test_the_user_header_without_its_setting_is_nothing(by_token: Flask) -> None:
    """Where only the token is configured no header is believed."""
    headers = {"X-Forwarded-User": "ada", "X-Proxy-Secret": TOKEN, "-": "ada"}
    assert not inside(by_token.test_client(), **headers)


@pytest.mark.parametrize("sent", [None, "", "x", "of another session"])
def test_a_form_that_is_not_ours_does_nothing(by_token: Flask, sent: str | None) -> None:
    """Without the session's own form token each POST is 400, the login among them."""
    client, other = by_token.test_client(), by_token.test_client()
    if sent == "of another session":
        sent = form_token(other.get("/operators/login"))
    form = {} if sent is None else {"csrf_token": sent}
    assert client.post("/operators/login", data={**form, "token": TOKEN}).status_code == 400
    log_in(client)
    for path in ("/operators/logout", "/operators/redrives", "/operators/dead-letters/0-0/redrive"):
        assert client.post(path, data=form).status_code == 400
    assert inside(client)


def test_a_proxied_form_needs_its_token_too(by_proxy: Flask) -> None:
    """The proxy's cookie comes with anybody's form, so that its word is not enough for a POST."""
    headers = {"X-Forwarded-User": "ada", "X-Proxy-Secret": SECRET}
    assert by_proxy.test_client().post("/operators/redrives", headers=headers).status_code == 400


def test_the_api_needs_no_form_token(by_token: Flask) -> None:
    """What has no cookies is as it was."""
    answer = by_token.test_client().post("/api/events", json={"text": "a"})
    assert answer.status_code == 503


def test_a_new_token_ends_all_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie outlives a restart with the same token, and no other one."""
    with app(monkeypatch, OPERATORS_TOKEN=TOKEN) as made:
        client = made.test_client()
        log_in(client)
        cookie = client.get_cookie("sentiment-operator", path="/operators")
        assert cookie
    for token, kept in ((TOKEN, True), (TOKEN + "!", False)):
        with app(monkeypatch, OPERATORS_TOKEN=token) as made:
            client = made.test_client()
            client.set_cookie("sentiment-operator", cookie.value, path="/operators")
            assert inside(client) == kept


def test_a_session_ends_after_its_time(by_token: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight hours after the login it is over, however busy it was."""
    client = by_token.test_client()
    log_in(client)
    now = time.time()
    for hours, kept in ((7.9, True), (8.1, False)):
        monkeypatch.setattr(time, "time", lambda then=now + hours * 3600: then)
        assert inside(client) == kept
        monkeypatch.undo()


WISHES = {
    "/operators/models": "/operators/models",
    "/operators/dead-letters?code=not_json": "/operators/dead-letters?code=not_json",
    **dict.fromkeys((
        "", "https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example",
        "javascript:alert(1)", "/operators", "operators/", "/operators@elsewhere.example",
        " /operators/", "https://elsewhere.example/operators/", "/operators/\n",
        "/operators/a\r\nA: b", "/operators/\x00", "/operators/\u2028",
    ), "/operators/dead-letters"),
}  # fmt: skip


def test_the_login_leads_to_our_pages_only(by_token: Flask) -> None:
    """After the login somebody is where they wanted to go, on this page and nowhere else."""
    for wish, goes in WISHES.items():
        assert log_in(by_token.test_client(), next=wish).location == goes, ascii(wish)


def test_where_a_stranger_wanted_to_go_is_remembered(by_token: Flask) -> None:
    """The form carries the address that asked for the login."""
    client = by_token.test_client()
    page = client.get("/operators/dead-letters?code=not_json", follow_redirects=True)
    assert 'name="next" value="/operators/dead-letters?code=not_json"' in page.text


def test_logins_are_logged_without_the_token(by_token: Flask) -> None:
    """One line for each login, ok or failed, with the address; no secret in any."""
    client = by_token.test_client()
    with capture_logs() as said:
        log_in(client, "a wrong guess of mine")
        client.get(MODELS, headers={"Authorization": "Bearer another wrong guess"})
        log_in(client)
    lines = [line for line in said if line["event"] == "operator login"]
    assert [(line["outcome"], line["by"], line["address"]) for line in lines] == [
        ("failed", "token", "127.0.0.1"), ("failed", "bearer", "127.0.0.1"),
        ("ok", "token", "127.0.0.1"),
    ]  # fmt: skip
    assert TOKEN not in str(said)
    assert "guess" not in str(said)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"OPERATORS_TOKEN": "short"}, "OPERATORS_TOKEN has 5 characters, fewer than 16"),
        # pragma: allowlist nextline secret - of this test
        ({**PROXY, "OPERATORS_PROXY_SECRET": "short"}, "OPERATORS_PROXY_SECRET has 5 characters"),
        ({"OPERATORS_USER_HEADER": "X-Forwarded-User"}, "needs OPERATORS_PROXY_SECRET"),
        ({"OPERATORS_PROXY_SECRET": SECRET}, "needs OPERATORS_USER_HEADER"),
        ({**PROXY, "OPERATORS_USER_HEADER": "X User"}, "OPERATORS_USER_HEADER"),
    ],
)
def test_settings_that_would_let_others_in_are_refused(
    environment: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short secret, or a header without the proxy's secret, ends the start with a sentence."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said) as caught:
        OperatorsSettings()
    assert "short" not in caught.value.message
