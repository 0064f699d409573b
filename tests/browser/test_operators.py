"""The operators' page in a real browser: used by a person, and faced with a hostile dead letter."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect

from sentiment import wire
from sentiment.settings import Settings
from sentiment.wire import ErrorCode
from tests.browser.tabs import watched
from tests.integration.dead_letters import bury, event
from tests.integration.pages import PageProcess, page
from tests.unit.operators import TOKEN

HOSTILE = (
    b"<script>document.title = 'taken'; alert('run')</script>\n"
    b"<img src=x onerror=\"alert('run')\"> {{ 7 * 7 }}\n\x00\xff\xfe\x1b[31m"
    + "\u202eevol\u202c é".encode()
    + b"x" * 4000
)
WIDE = ViewportSize(width=1280, height=860)
PHONE = ViewportSize(width=360, height=740)


@pytest.fixture
def site(
    settings: Settings, challenged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PageProcess]:
    """A page with the operators' part, on the test's own topics."""
    del settings  # its fixture sets the environment
    monkeypatch.setenv("MLFLOW_TRACKING_URI", challenged)
    with page(tmp_path / "web.log", OPERATORS_TOKEN=TOKEN) as process:
        yield process


@pytest.fixture(params=["plain", "no-script"])
def operator(browser: Browser, site: PageProcess, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Somebody who has logged in, also without JavaScript; the browser may complain of nothing."""
    scripts = request.param == "plain"
    context = browser.new_context(java_script_enabled=scripts, locale="en-GB", viewport=WIDE)
    complaints: list[str] = []
    tab = watched(context, complaints)
    log_in(tab, site)
    yield tab
    assert complaints == []
    context.close()


@pytest.fixture
def inspected(browser: Browser, site: PageProcess) -> Iterator[Page]:
    """The same for axe, whose script our policy would forbid."""
    context = browser.new_context(bypass_csp=True, locale="en-GB", viewport=WIDE)
    tab = context.new_page()
    log_in(tab, site)
    yield tab
    context.close()


def log_in(tab: Page, site: PageProcess) -> None:
    """Come as a stranger, and give the token."""
    tab.goto(f"{site.url}/operators")
    tab.get_by_label("Token").fill(TOKEN)
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_role("heading", name="Dead letters")).to_be_visible()


def bury_some(settings: Settings) -> None:
    """Dead letters of all kinds, and one that attacks."""
    codes: list[tuple[ErrorCode, bytes]] = [
        ("too_large", event(1, source="reviews")), ("model_failed", event(2, source="tickets")),
        ("missing_text", b'{"body": "a wonderful film", "source": "shop"}'),
        ("not_json", b"Great cast, but"), ("too_large", event(3, source="a-long-name" * 20)),
    ]  # fmt: skip
    for partition, (code, value) in enumerate(codes):
        bury(settings, [value], code, partition % 4)
    place = {
        wire.ERROR_CODE: b"invalid_utf8", wire.ERROR_TOPIC: settings.topics.events.encode(),
        wire.ERROR_MESSAGE: "<b onclick=alert(1)>no UTF-8</b> \u202e\x1b".encode(),
        wire.ERROR_PARTITION: b"3", wire.ERROR_OFFSET: b"7", wire.ERROR_ATTEMPT: b"2",
    }  # fmt: skip
    own: wire.Headers = [("<script>alert(1)</script>", b"\xff\x00" + b"long" * 200)]
    bury(settings, [HOSTILE], partition=3, headers=[*place.items(), *own])


def test_one_is_looked_at_and_sent_back(operator: Page, settings: Settings) -> None:
    """From the list to one letter and back on the topic, once; with and without JavaScript."""
    bury_some(settings)
    operator.reload()
    operator.get_by_role("link", name="too_large").click()
    letters = operator.get_by_role("list", name="Newest first").get_by_role("listitem")
    expect(letters).to_have_count(2)
    letters.last.get_by_role("link").click()
    operator.get_by_role("button", name="Send it back").click()
    expect(operator.get_by_role("status")).to_contain_text("Sent back")
    expect(operator.get_by_role("button", name="Send it back")).to_have_count(0)
    operator.get_by_role("link", name="All dead letters").click()
    operator.get_by_role("link", name="Send these back").click()
    expect(operator.get_by_role("heading", name="Send 2 back?")).to_be_visible()
    operator.get_by_role("button", name="Send 2 back").click()
    expect(operator.get_by_role("heading", name="Done")).to_be_visible()
    expect(operator.get_by_role("status")).to_contain_text("2")
    operator.get_by_role("link", name="Models").click()
    expect(operator.get_by_role("heading", name="Champion")).to_be_visible()
    operator.get_by_role("button", name="Sign out").click()
    expect(operator.get_by_label("Token")).to_be_focused()


def test_a_hostile_letter_is_text(operator: Page, settings: Settings) -> None:
    """Tags, handlers, templates, controls and bytes in value, headers and error are only shown."""
    bury_some(settings)
    operator.goto(f"{operator.url.rpartition('/')[0]}/dead-letters")
    operator.locator(".letter", has_text="no UTF-8").get_by_role("link").click()
    value = operator.locator(".value")
    expect(value).to_contain_text("<script>document.title = 'taken'; alert('run')</script>")
    expect(value).to_contain_text(r"\x00\xff\xfe\x1b[31m\u202eevol\u202c é")
    expect(value).to_contain_text("{{ 7 * 7 }}")
    assert operator.locator("main script, main img, main b").count() == 0
    assert operator.title().startswith("Dead letter")
    # No control of the value's is left in the page.
    assert "\u202e" not in operator.content()


def test_pages_are_for_everybody(inspected: Page, settings: Settings, tmp_path: Path) -> None:
    """Axe finds nothing on any page, light and dark, wide and on a phone; nothing sticks out."""
    bury_some(settings)
    root = inspected.url.rpartition("/")[0]
    paths = {
        "list": "dead-letters", "letter": "dead-letters/0-0", "hostile": "dead-letters/3-1",
        "confirm": "redrive", "models": "models", "problem": "dead-letters/9-9", "login": "login",
    }  # fmt: skip
    complaints = []
    for name, path in paths.items():
        if name == "login":
            inspected.get_by_role("button", name="Sign out").click()
        else:
            inspected.goto(f"{root}/{path}")
        for scheme in ("light", "dark"):
            inspected.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            for size, kind in ((WIDE, "wide"), (PHONE, "phone")):
                inspected.set_viewport_size(size)
                inspected.screenshot(
                    path=tmp_path / f"operators-{name}-{scheme}-{kind}.png", full_page=True
                )
                found = Axe().run(inspected)
                if found.violations_count:
                    complaints.append(f"{name} {scheme} {kind}: {found.generate_report()}")
                wide = inspected.evaluate("document.documentElement.scrollWidth - innerWidth")
                if wide > 0:
                    complaints.append(f"{name} {kind}: {wide} pixels too wide")
    assert complaints == []
