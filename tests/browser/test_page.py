from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from sentiment.settings import Settings
from tests.browser.tabs import PATIENCE_MS, box, classify
from tests.integration.pages import publish, result

HOSTILE = [
    "<script>document.title = 'taken'; alert('run')</script>I loved it",
    "<img src=x onerror=\"document.title = 'taken'; alert('run')\"> a great film",
    "javascript:alert('run') {{ 7 * 7 }} ${7 * 7} &lt;b&gt; wonderful",
    "\u202eevol fo tuo\u202c \u2066isolated \u200fright\u2069 but it was awful",
    "<a href='javascript:alert(1)'>" + "\U0001f600" * 2000,
]


@pytest.mark.usefixtures("working")
def test_answer_in_place(tab: Page) -> None:
    """A text that is sent, by button or keys, has its answer in place and in the feed."""
    classify(tab, "I loved every minute of it, wonderful acting.")
    expect(tab.locator("#word")).to_have_text("Positive")
    confidence = tab.locator("#meter").evaluate("meter => meter.value")
    assert 0.5 < confidence <= 1
    expect(tab.locator("#details")).to_contain_text("ms through Kafka and back")
    expect(tab.locator("#model")).to_contain_text("sentiment v")
    text = box(tab)
    text.fill("The worst film I have ever seen, boring and bad.")
    text.press("Control+Enter")
    expect(tab.locator("#word")).to_have_text("Negative", timeout=PATIENCE_MS)
    lines = tab.locator("#feed .item[data-mine]")
    expect(lines).to_have_count(2)
    expect(lines.first).to_contain_text("The worst film")


@pytest.mark.usefixtures("working")
def test_example_is_sent_at_once(tab: Page) -> None:
    """A chip fills the box and sends it."""
    chip = tab.locator(".chip").first
    words = chip.text_content() or ""
    chip.click()
    expect(tab.locator("#echo")).to_have_text(words, timeout=PATIENCE_MS)
    expect(box(tab)).to_have_value(words)


@pytest.mark.usefixtures("working")
def test_hostile_text_is_text(tab: Page) -> None:
    """Tags, handlers, templates and bidi controls are shown as they were written, and none runs."""
    for text in HOSTILE:
        classify(tab, text)
        expect(tab.locator("#feed .item-text").first).to_have_text(text)
    assert tab.title() == "Sentiment stream"
    assert tab.locator("#echo *, #feed a, #feed img, #feed script").count() == 0
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hostile_fields_are_text(tab: Page, settings: Settings) -> None:
    """What others put into an id or a source is text as well."""
    source = "<img src=x onerror=alert('run')>\u202e"
    publish(settings, result(source=source, id="<script>alert('run')</script>"))
    expect(tab.locator("#feed .tag")).to_have_text(source)
    assert tab.locator("#feed img, #feed script").count() == 0


def test_empty_text_is_not_sent(tab: Page) -> None:
    """An empty text is answered by the page itself, and the box has the focus."""
    box(tab).fill("  ")
    tab.get_by_role("button", name="Classify").click()
    expect(tab.locator("#note")).to_contain_text("Write something first")
    expect(box(tab)).to_be_focused()


def test_feed_filters(tab: Page, settings: Settings) -> None:
    """Everybody's results come by themselves; the filters choose among old and new ones."""
    publish(settings, result("shop", 0.9), result("shop", 0.2), result("news", 0.1))
    lines = tab.locator("#feed .item")
    expect(lines).to_have_count(3)
    tab.get_by_role("radio", name="Negative").check(force=True)
    expect(lines).to_have_count(2)
    publish(settings, result("shop", 0.9), result("shop", 0.3))
    expect(lines).to_have_count(3)
    tab.get_by_role("combobox", name="Source").fill("shop")
    expect(lines).to_have_count(2)
    expect(tab.locator('#feed .item:not([data-sentiment="negative"])')).to_have_count(0)
    tab.get_by_role("combobox", name="Source").fill("nobody")
    expect(tab.locator("#empty")).to_contain_text("Nothing that matches")


def test_feed_pauses(tab: Page, settings: Settings) -> None:
    """While paused the list stands still and counts what is new; resuming shows it."""
    publish(settings, result())
    lines = tab.locator("#feed .item")
    expect(lines).to_have_count(1)
    tab.get_by_role("button", name="Pause").click()
    publish(settings, result(), result())
    resume = tab.get_by_role("button", name="Resume (2 new)")
    expect(resume).to_have_attribute("aria-pressed", "true")
    expect(lines).to_have_count(1)
    resume.click()
    expect(lines).to_have_count(3)


def test_flood_is_shown_as_a_sample(tab: Page, settings: Settings) -> None:
    """When more comes than can be read, the page lists some of it and says so."""
    expect(tab.locator("#status")).to_contain_text("Kafka connected")
    publish(settings, *(result() for _ in range(5000)))
    expect(tab.locator("#rate")).to_contain_text("a sample")
    assert 0 < tab.locator("#feed .item").count() <= 40


def test_page_is_used_by_keyboard(tab: Page) -> None:
    """Tab reaches everything in the order that it is seen, with a visible ring."""
    reached = []
    for _ in range(9):
        tab.keyboard.press("Tab")
        reached.append(
            tab.evaluate("document.activeElement.id || document.activeElement.className")
        )
        # A radio button is drawn by the label's text behind it.
        ring = tab.evaluate(
            "(e => getComputedStyle(e.type === 'radio' ? e.nextElementSibling : e))"
            "(document.activeElement).outlineStyle"
        )
        assert ring == "solid"
    assert reached[:2] == ["text", "send"]
    assert reached[2:6] == ["chip"] * 4
    assert reached[7:] == ["source", "pause"]


@pytest.mark.usefixtures("working")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshots(tab: Page, settings: Settings, pictures: Path, scheme: str) -> None:
    """The page in use, light and dark, as the documentation shows it."""
    tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    classify(tab, "Great cast, but I was bored after ten minutes.")
    shares = (0.94, 0.08, 0.88, 0.97, 0.21, 0.99, 0.03)
    sources = ("reviews", "tickets", "reviews", "survey", "reviews", "tickets", "survey")
    version = (tab.locator("#model").text_content() or "").rpartition("v")[2]
    model = result().model
    others = [
        result(source, score, model=type(model)("sentiment", version or "1"))
        for source, score in zip(sources, shares, strict=True)
    ]
    publish(settings, *others[:5])
    expect(tab.locator("#feed .item")).to_have_count(7)
    classify(tab, "I expected nothing and loved every minute of it. The ending is wonderful.")
    publish(settings, *others[5:])
    expect(tab.locator("#feed .item")).to_have_count(10)
    picture = pictures / f"page-{scheme}.png"
    tab.screenshot(path=picture, animations="disabled")
    assert picture.stat().st_size > 20_000


def test_phone_has_no_sideways_scroll(tab: Page, settings: Settings) -> None:
    """At 320 and 360 pixels nothing is cut off or needs scrolling sideways."""
    long = "a-very-long-source-name-without-any-break" * 5
    publish(settings, result(long), *(result() for _ in range(3)))
    expect(tab.locator("#feed .item")).to_have_count(4)
    for width in (320, 360, 1920):
        tab.set_viewport_size({"width": width, "height": 740})
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        wide = tab.evaluate(
            "[...document.querySelectorAll('main *')].filter(e => e.checkVisibility()"
            " && e.getBoundingClientRect().right > innerWidth).length"
        )
        assert wide == 0
