import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from sentiment.settings import Settings
from tests.browser.conftest import WIDE
from tests.browser.tabs import box, classify, press, watched
from tests.browser.traffic import steady
from tests.integration.pages import PageProcess, publish, result

PHONE = ViewportSize(width=390, height=844)
# Everything that Tab reaches, in the order that it is seen.
STOPS = [
    *("text", "send", "chip", "chip", "chip", "chip", "right", "wrong", "scrub"),
    *("lines", "file", "batch-send", "pause", "radio", "confidence", "source", "words"),
]
# What is focused, and the outline of what is seen of it: some controls lie unseen over another.
FOCUSED = """() => {
  const focused = document.activeElement;
  const seen = getComputedStyle(focused).opacity === "0" ? focused.nextElementSibling : focused;
  return [focused.id || (focused.type === "radio" ? "radio" : focused.className),
    getComputedStyle(seen).outlineStyle];
}"""
# Links and controls that are seen, with their smaller side in pixels; unseen ones lie over others.
TARGETS = """() => [...document.querySelectorAll("a, button, input, select, textarea, summary")]
  .map(element => [element.id || element.textContent, element.closest("label") ?? element])
  .filter(([, element]) => element.checkVisibility())
  .map(([name, element]) => [name, element.getBoundingClientRect()])
  .map(([name, { width, height }]) => [name, Math.min(width, height)])"""


@pytest.mark.usefixtures("working")
def test_page_is_used_by_keyboard_alone(tab: Page) -> None:
    """Tab reaches everything in the order that it is seen, with a ring, and it works by keys."""
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("link", name="API")).to_be_focused()
    tab.keyboard.press("Tab")
    tab.keyboard.type("What a waste of two hours.")
    tab.keyboard.press("Control+Enter")
    expect(tab.locator("#word")).to_have_text("Negative")
    reached = [tab.evaluate(FOCUSED)]
    for _ in STOPS[1:]:
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate(FOCUSED))
    assert [name for name, _ in reached] == STOPS
    assert {ring for _, ring in reached} == {"solid"}
    # From the last one back: a filter, the pause and the verdict.
    tab.keyboard.type("nowhere")
    expect(tab.locator("#empty")).to_be_visible()
    for _ in range(3):
        tab.keyboard.press("Shift+Tab")
    tab.keyboard.press("ArrowRight")
    expect(tab.get_by_role("radio", name="Positive")).to_be_checked()
    tab.keyboard.press("Shift+Tab")
    tab.keyboard.press("Space")
    expect(tab.locator("#pause")).to_have_attribute("aria-pressed", "true")
    for _ in range(STOPS.index("pause") - STOPS.index("wrong")):
        tab.keyboard.press("Shift+Tab")
    tab.keyboard.press("Enter")
    expect(tab.locator("#thanks")).to_contain_text("Noted as positive")


@pytest.mark.usefixtures("working")
def test_phone(browser: Browser, site: PageProcess) -> None:
    """On phones nothing needs scrolling sideways, and all that is touched is 44 pixels or more."""
    for width in (320, 390):
        phone = browser.new_context(
            viewport={"width": width, "height": 740}, has_touch=True, is_mobile=True
        )
        tab = watched(phone, [])
        tab.goto(site.url)
        classify(tab, "wonderful " + "dull" * 200)
        box(tab).fill("")
        tab.locator("#lines").fill("a\nb\nc")
        tab.locator("#batch-send").click()
        expect(tab.locator("#downloads")).to_be_visible()
        assert tab.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
        small = [(name, size) for name, size in tab.evaluate(TARGETS) if size < 44]
        assert small == []
        phone.close()


def test_long_names_fit(tab: Page, settings: Settings) -> None:
    """Sources and models with long names are cut or broken, on any width."""
    long = "a-very-long-source-name-without-any-break" * 5
    model = type(result().model)(long, long)
    publish(settings, result(long, model=model, canary=True), *(result() for _ in range(3)))
    expect(tab.locator("#feed .item")).to_have_count(4)
    for width in (320, 700, 1100, 1920):
        tab.set_viewport_size({"width": width, "height": 740})
        assert tab.evaluate("document.documentElement.scrollWidth") == width


def test_motion_is_reduced(tab: Page, settings: Settings) -> None:
    """Who asks for less motion gets none."""
    tab.emulate_media(reduced_motion="reduce")
    publish(settings, result())
    item = tab.locator("#feed .item")
    expect(item).to_have_count(1)
    assert item.evaluate("item => getComputedStyle(item).animationName") == "none"


def test_axe_finds_nothing(browser: Browser, busy: PageProcess) -> None:
    """The rules of axe hold: light and dark, empty and in use, wide and on a phone."""
    for size in (WIDE, PHONE):
        # Only so can axe be put into the page, whose policy allows no foreign script.
        context = browser.new_context(viewport=size, bypass_csp=True)
        tab = context.new_page()
        tab.emulate_media(reduced_motion="reduce")
        tab.goto(busy.url)
        expect(tab.locator("#readout")).to_contain_text("results in ten minutes")
        _check(tab)
        tab.get_by_role("button", name="Classify", exact=True).click()
        _check(tab)
        for text in ("I loved every wonderful minute. Dull, but great.", "A waste. " * 400):
            classify(tab, text)
            _check(tab)
        tab.get_by_role("button", name="Right").click()
        expect(tab.locator("#thanks")).to_contain_text("Noted")
        tab.get_by_role("button", name="Pause").click()
        tab.locator("#lines").fill('{"text": "a"}\n{"body": "b"}')
        tab.locator("#batch-send").click()
        tab.locator("#refused summary").click()
        expect(tab.locator("#downloads")).to_be_visible()
        _check(tab)
        tab.goto(f"{busy.url}/api/docs")
        _check(tab)
        context.close()


# pragma: allowlist nextline secret - of this test
@pytest.mark.parametrize("site", [{"WEB_API_KEYS": "key"}], indirect=True)
def test_axe_finds_nothing_at_the_key(browser: Browser, site: PageProcess) -> None:
    """The same where a key is asked for, and when it was wrong."""
    context = browser.new_context(viewport=PHONE, bypass_csp=True)
    tab = context.new_page()
    tab.emulate_media(reduced_motion="reduce")
    tab.goto(site.url)
    tab.get_by_label("API key", exact=True).fill("another")
    _check(tab)
    press(tab, "Anybody?")
    expect(tab.locator("#key-note")).to_contain_text("none of those that may send")
    _check(tab)
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def _check(tab: Page) -> None:
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        found = Axe().run(tab)
        assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"


def test_screenshots(
    context: BrowserContext, busy: PageProcess, settings: Settings, pictures: Path
) -> None:
    """The page in use, light and dark, wide and on a phone, as the documentation shows it."""
    tab = watched(context, [])
    tab.goto(busy.url)
    expect(tab.locator("#readout")).to_contain_text("results in ten minutes")
    classify(tab, "Great cast, but I was bored after ten minutes.")
    if "SCREENSHOTS" in os.environ:
        # By then all that came before the page has left its rate and its latency.
        steady(settings, seconds=14)
    classify(tab, "I expected little and loved every minute. A wonderful ending, if a bit slow.")
    expect(tab.locator("#why")).to_be_visible()
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for name, size in (("page", {"width": 1280, "height": 900}), ("phone", PHONE)):
            tab.set_viewport_size(ViewportSize(width=size["width"], height=size["height"]))
            tab.wait_for_timeout(400)
            picture = pictures / f"{name}-{scheme}.png"
            tab.screenshot(path=picture, animations="disabled")
            assert picture.stat().st_size > 20_000
