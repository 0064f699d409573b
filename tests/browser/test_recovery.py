from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from local.broker import LocalKafka
from local.settings import LocalSettings
from sentiment.kafka import topics
from sentiment.settings import Settings
from tests.browser.tabs import box, press, watched
from tests.integration.pages import PageProcess, page, publish, result


def test_kafka_stops_and_starts_under_the_page(
    context: BrowserContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The open page says that Kafka is away, sends nothing meanwhile, and goes on by itself."""
    with LocalKafka(tmp_path / "kafka", LocalSettings().cache_dir, print) as broker:
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
        topics.create(Settings())
        with page(tmp_path / "web.log") as site:
            tab = watched(context, [])
            tab.goto(site.url)
            expect(tab.locator("#status")).to_contain_text("Kafka connected")
            publish(Settings(), result())
            expect(tab.locator("#feed .item")).to_have_count(1)
            broker.kill(0)
            expect(tab.locator("#banner")).to_contain_text("Kafka is away")
            press(tab, "Are you there?")
            expect(tab.locator("#note")).to_contain_text("Not sent: Kafka is away")
            expect(box(tab)).to_have_value("Are you there?")
            broker.start(0)
            broker.wait_until_ready()
            expect(tab.locator("#status")).to_contain_text("Kafka connected")
            expect(tab.locator("#banner")).to_be_hidden()
            publish(Settings(), result())
            expect(tab.locator("#feed .item")).to_have_count(2)


def test_page_outlives_its_server(
    context: BrowserContext, settings: Settings, tmp_path: Path
) -> None:
    """When the page's own server restarts, the page says so, comes back and doubles no line."""
    site = PageProcess(tmp_path / "web.log")
    try:
        site.wait_until()
        tab = watched(context, [])
        tab.goto(site.url)
        publish(settings, result())
        expect(tab.locator("#feed .item")).to_have_count(1)
        site.end()
        expect(tab.locator("#banner")).to_contain_text("The server of this page")
        site.restart()
        expect(tab.locator("#status")).to_contain_text("Kafka connected")
        after = result()
        publish(settings, after)
        expect(tab.locator(f'[data-id="{after.id}"]')).to_be_visible()
        expect(tab.locator("#feed .item")).to_have_count(2)
    finally:
        site.end()
