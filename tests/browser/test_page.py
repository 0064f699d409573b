import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.tabs import box, classify, press
from tests.integration.pages import PageProcess

HOSTILE = [
    "<script>document.title = 'taken'; alert('run')</script>I loved it",
    "<img src=x onerror=\"document.title = 'taken'; alert('run')\"> a great film",
    "javascript:alert('run') {{ 7 * 7 }} ${7 * 7} &lt;b&gt; wonderful",
    "\u202eevol fo tuo\u202c \u2066isolated \u200fright\u2069 but it was awful",
    "<a href='javascript:alert(1)'>" + "\U0001f600" * 2000,
]


@pytest.mark.usefixtures("served")
def test_answer_in_place(tab: Page) -> None:
    """A text that is sent, by button or keys, has its answer in place and in the feed."""
    classify(tab, "I loved every minute of it, wonderful acting.")
    expect(tab.locator("#word")).to_have_text("Positive")
    confidence = tab.locator("#meter").evaluate("meter => meter.value")
    assert 0.5 < confidence <= 1
    expect(tab.locator("#details")).to_contain_text(re.compile(r"\d m?s through Kafka and back"))
    expect(tab.locator("#model")).to_contain_text("sentiment v")
    text = box(tab)
    text.fill("The worst film I have ever seen, boring and bad.")
    text.press("Control+Enter")
    expect(tab.locator("#word")).to_have_text("Negative")
    lines = tab.locator("#feed .item[data-mine]")
    expect(lines).to_have_count(2)
    expect(lines.first).to_contain_text("The worst film")


@pytest.mark.usefixtures("served")
def test_example_is_sent_at_once(tab: Page) -> None:
    """A chip fills the box and sends it."""
    chip = tab.locator(".chip").first
    words = chip.text_content() or ""
    chip.click()
    expect(tab.locator("#echo")).to_have_text(words)
    expect(box(tab)).to_have_value(words)


@pytest.mark.usefixtures("served")
def test_hostile_text_is_text(tab: Page) -> None:
    """Tags, handlers, templates and bidi controls are shown as they were written, and none runs."""
    for text in HOSTILE:
        classify(tab, text)
        line = tab.locator("#feed .item-text").first
        # A line shows the beginning of a long one.
        expect(line).to_have_text(text if len(text) <= 300 else f"{text[:300]}…")
    assert tab.title() == "Sentiment stream"
    assert tab.locator("#echo :not(mark), #feed a, #feed img, #feed script").count() == 0
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_empty_text_is_not_sent(tab: Page) -> None:
    """An empty text is answered by the page itself, and the box has the focus."""
    press(tab, "  ")
    expect(tab.locator("#note")).to_contain_text("Write something first")
    expect(box(tab)).to_be_focused()


@pytest.mark.usefixtures("served")
def test_almost_too_long_text_is_shown(tab: Page) -> None:
    """64,000 bytes of emoji are answered; the text scrolls in its box, for the keyboard too."""
    text = "\U0001f600" * 16_000
    classify(tab, text)
    expect(tab.locator("#echo")).to_have_attribute("tabindex", "0")
    assert tab.locator("#echo").evaluate("echo => echo.clientHeight") < 200
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    classify(tab, "A short one is no stop of the keyboard.")
    expect(tab.locator("#echo")).not_to_have_attribute("tabindex", "0")


@pytest.mark.parametrize("text", ["a" * 70_000, "\U0001f600" * 16_384])
def test_too_long_text_is_told(refused_tab: Page, text: str) -> None:
    """64 KiB of emoji are over the limit: told with both numbers, and the text stays in the box."""
    press(refused_tab, text)
    note = refused_tab.locator("#note")
    expect(note).to_contain_text("Not sent: the text is too long.")
    expect(note).to_contain_text("more than the 65,536 that are allowed")
    expect(note).not_to_contain_text("Event 0")
    expect(box(refused_tab)).to_have_value(text)


def test_server_that_is_away_is_told(refused_tab: Page, site: PageProcess) -> None:
    """Where no server answers, the page says that nothing was lost."""
    site.end()
    press(refused_tab, "Anybody?")
    expect(refused_tab.locator("#note")).to_contain_text("can\u2019t be reached. Nothing was lost")
    expect(box(refused_tab)).to_have_value("Anybody?")
