from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from sentiment.settings import Settings
from sentiment.wire import Input
from tests.browser.tabs import box, classify, press
from tests.integration.pages import publish, result
from tests.integration.workers import read


def test_hostile_fields_are_text(tab: Page, settings: Settings) -> None:
    """What others put into an id or a source is text as well."""
    source = "<img src=x onerror=alert('run')>\u202e"
    publish(settings, result(source=source, id="<script>alert('run')</script>"))
    expect(tab.locator("#feed .tag")).to_have_text(source)
    assert tab.locator("#feed img, #feed script").count() == 0


def test_another_event_with_the_same_id_is_not_mine(tab: Page, settings: Settings) -> None:
    """A result of an event that somebody else sent with an id of mine is no answer to me."""
    press(tab, "I loved it.")
    [event] = read(settings, settings.topics.events, lambda seen: len(seen) >= 1)
    name = (event.key() or b"").decode()
    place = Input(settings.topics.events, event.partition() or 0, event.offset() or 0)
    other = Input(place.topic, place.partition, place.offset + 1)
    publish(settings, result(id=name, score=0.1, input=other))
    expect(tab.locator("#feed .item")).to_have_count(1)
    expect(tab.locator("#feed .item[data-mine]")).to_have_count(0)
    expect(tab.locator("#answer")).to_have_attribute("data-state", "waiting")
    publish(settings, result(id=name, input=place))
    expect(tab.locator("#word")).to_have_text("Positive")
    expect(tab.locator("#feed .item[data-mine]")).to_contain_text("I loved it.")
    expect(tab.locator("#feed .item")).to_have_count(2)


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


def test_feed_filters_by_confidence(tab: Page, settings: Settings) -> None:
    """Sure and unsure answers are told apart; a filter that is taken off brings the others back."""
    publish(settings, result(score=0.95), result(score=0.2), result(score=0.55))
    lines = tab.locator("#feed .item")
    expect(lines).to_have_count(3)
    chooser = tab.get_by_role("combobox", name="Confidence")
    for label, shares in (
        ("90 % and more", ["95.0 %"]),
        ("Unsure: up to 60 %", ["55.0 %"]),
        ("75 % and more", ["80.0 %", "95.0 %"]),
    ):
        chooser.select_option(label=label)
        expect(lines).to_have_count(len(shares))
        assert sorted(lines.locator(".item-share").all_text_contents()) == shares
    publish(settings, result(score=0.6), result(score=0.99))
    expect(lines).to_have_count(3)
    chooser.select_option(label="Any confidence")
    expect(lines).to_have_count(5)


@pytest.mark.usefixtures("working")
def test_feed_is_searched_for_words_and_ids(tab: Page, settings: Settings) -> None:
    """Words find this tab's own texts, whose results carry none; an id finds anybody's."""
    classify(tab, "The Ending is wonderful.")
    classify(tab, "A dull afternoon.")
    publish(settings, result(id="order-4711"), result(id="order-4712"))
    lines = tab.locator("#feed .item")
    expect(lines).to_have_count(5)
    search = tab.get_by_role("searchbox", name="Words of your texts, or an id")
    search.fill("ending")
    expect(lines).to_have_count(1)
    expect(lines).to_contain_text("The Ending is wonderful.")
    search.fill("order-47")
    expect(lines).to_have_count(2)
    search.fill("4712")
    expect(lines).to_have_count(1)
    search.fill("nowhere")
    expect(tab.locator("#empty")).to_contain_text("Nothing that matches")
    search.fill("")
    expect(lines).to_have_count(5)


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


def test_filter_works_while_paused(tab: Page, settings: Settings) -> None:
    """A list that stands still can be filtered, and what waits is counted by the same filter."""
    publish(settings, result(score=0.9), result(score=0.1))
    lines = tab.locator("#feed .item")
    expect(lines).to_have_count(2)
    tab.get_by_role("button", name="Pause").click()
    tab.get_by_role("radio", name="Negative").check(force=True)
    expect(lines).to_have_count(1)
    publish(settings, result(score=0.9), result(score=0.2))
    resume = tab.get_by_role("button", name="Resume (1 new)")
    expect(resume).to_be_visible()
    resume.click()
    expect(lines).to_have_count(2)


def test_newest_is_first(tab: Page, settings: Settings) -> None:
    """Lines stand by time, whatever the order of partitions and filters that they came in."""
    new = result(id="new")
    old = result(id="old", processed_at=new.processed_at - timedelta(seconds=1))
    publish(settings, new, old)
    ids = tab.locator("#feed .item-id")
    expect(ids).to_have_text(["new", "old"])


def test_flood_is_shown_as_a_sample(tab: Page, settings: Settings) -> None:
    """When more comes than can be read, the page lists some of it and says so."""
    expect(tab.locator("#status")).to_contain_text("Kafka connected")
    publish(settings, *(result() for _ in range(5000)))
    expect(tab.locator("#rate")).to_contain_text("a sample")
    items = tab.locator("#feed .item")
    expect(items.first).to_be_visible()
    assert items.count() <= 40


@pytest.mark.usefixtures("working")
def test_own_texts_outlive_a_reload(tab: Page) -> None:
    """After a reload the feed still shows which results are this tab's own, with their words."""
    classify(tab, "Kept for this tab alone.")
    tab.reload()
    expect(tab.locator("#feed .item[data-mine]")).to_contain_text("Kept for this tab alone.")
    expect(box(tab)).to_be_visible()


def test_challenger_is_told(tab: Page, settings: Settings) -> None:
    """A result of a challenger on trial has its badge, and its model stands beside the champion."""
    model = type(result().model)
    publish(
        settings,
        result(model=model("sentiment", "7")),
        result(model=model("sentiment", "8"), canary=True),
    )
    expect(tab.locator("#feed .item .challenger")).to_have_count(1)
    expect(tab.locator("#model")).to_have_text("sentiment v7")
    rows = tab.locator("#models tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("sentiment v7")
    expect(rows.last).to_contain_text("sentiment v8 challenger")
