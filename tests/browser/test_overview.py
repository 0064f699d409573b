import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from sentiment.settings import Settings
from tests.browser.tabs import watched
from tests.integration.pages import PageProcess, publish, put, result


def test_chart_counts_what_comes(tab: Page, settings: Settings) -> None:
    """Without trends the chart is drawn from the live feed: bars, share, and a table of minutes."""
    expect(tab.locator("#status")).to_contain_text("Kafka connected")
    publish(settings, *(result(score=0.9) for _ in range(6)), result(score=0.1), result(score=0.2))
    expect(tab.locator("#figure-positive")).to_have_text("75 %")
    expect(tab.locator("#readout")).to_contain_text("8 results since this page was opened")
    assert tab.locator("#bars .up").count() >= 1
    assert tab.locator("#bars .down").count() >= 1
    cells = tab.locator("#table tbody td").all_text_contents()
    assert sum(map(int, cells)) == 8
    assert len(cells) == 30
    expect(tab.locator("#models tbody tr")).to_contain_text("sentiment v7")
    expect(tab.locator("#models time")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))


def test_trends_fill_the_chart(context: BrowserContext, busy: PageProcess) -> None:
    """With trends the chart has what came before the page: bars, sums, dead letters, models."""
    tab = watched(context, [])
    tab.goto(busy.url)
    expect(tab.locator("#readout")).to_have_text(re.compile(r"^[89],\d{3} results in ten minutes$"))
    assert tab.locator("#bars .up").count() >= 58
    assert tab.locator("#bars .down").count() >= 58
    expect(tab.locator("#bars .dead")).to_have_count(3)
    expect(tab.locator("#figure-dead")).to_have_text("3")
    expect(tab.locator("#figure-positive")).to_have_text(re.compile(r"^\d\d %$"))
    expect(tab.locator("#bars .axis").first).to_have_text(re.compile(r"^\d+/s$"))
    rows = tab.locator("#models tbody tr")
    expect(rows.first).to_contain_text("sentiment v1")
    expect(rows.last).to_contain_text("sentiment v2 challenger")
    for row in rows.all():
        expect(row.locator("td").nth(1)).to_have_text(re.compile(r"^[\d,]{3,}$"))
        expect(row.locator("td").nth(2)).to_have_text(re.compile(r"^\d\d %$"))


def test_lag_is_told(tab: Page, site: PageProcess) -> None:
    """Events that no worker has taken yet are counted."""
    expect(tab.locator("#figure-lag")).to_have_text("0 events")
    site.ask("/api/events", [{"text": "a"}, {"text": "b"}, {"text": "c"}])
    expect(tab.locator("#figure-lag")).to_have_text("3 events")


@pytest.mark.usefixtures("working")
def test_latency_is_told(tab: Page, site: PageProcess) -> None:
    """What a worker answers has a latency, a rate, and no lag once it is committed."""
    site.ask("/api/events", [{"text": "a"}] * 20)
    expect(tab.locator("#figure-rate")).not_to_have_text("0")
    expect(tab.locator("#figure-latency")).to_have_text(re.compile(r"^[\d.]+ m?s$"))
    expect(tab.locator("#figure-lag")).to_have_text("0 events")


def test_dead_letters_are_told(tab: Page, settings: Settings) -> None:
    """Dead letters are counted, and marked in the chart."""
    expect(tab.locator("#figure-dead")).to_have_text("0")
    put(settings, settings.topics.dead_letters, b"no event", b"{}")
    expect(tab.locator("#figure-dead")).to_have_text("2")
    expect(tab.locator("#bars .dead").first).to_be_attached()


def test_chart_is_read_by_keys_and_pointer(tab: Page, settings: Settings) -> None:
    """Arrow keys go from bar to bar, and say what each stands for; so does the pointer."""
    expect(tab.locator("#status")).to_contain_text("Kafka connected")
    publish(settings, result(), result(), result(score=0.1))
    expect(tab.locator("#readout")).to_contain_text("3 results")
    scrub = tab.get_by_role("slider", name="Results every ten seconds")
    # The last bars are those of the last seconds; the slot may have changed meanwhile.
    tab.locator("#words").focus()
    scrub.focus()
    tab.keyboard.press("ArrowLeft")
    expect(tab.locator("#readout")).to_contain_text("positive")
    expect(scrub).to_have_attribute(
        "aria-valuetext", re.compile(r"▲ \d+ positive · ▼ \d+ negative")
    )
    tab.keyboard.press("Home")
    expect(tab.locator("#readout")).to_contain_text("▲ 0 positive")
    tab.locator("#text").focus()
    expect(tab.locator("#readout")).to_contain_text("3 results")
    area = scrub.bounding_box()
    assert area is not None
    tab.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    expect(tab.locator("#readout")).to_contain_text("▲ 0 positive")


def test_chart_goes_on_after_its_server(
    refused_tab: Page, site: PageProcess, settings: Settings
) -> None:
    """Over a restart of its server the chart keeps its bars, counts none twice, and goes on."""
    expect(refused_tab.locator("#status")).to_contain_text("Kafka connected")
    publish(settings, result(), result())
    expect(refused_tab.locator("#readout")).to_contain_text("2 results")
    site.end()
    expect(refused_tab.locator("#figure-lag")).to_have_text("\u2013")
    site.restart()
    site.wait_until()
    expect(refused_tab.locator("#status")).to_contain_text("Kafka connected")
    publish(settings, result(score=0.1))
    expect(refused_tab.locator("#readout")).to_contain_text("3 results")
