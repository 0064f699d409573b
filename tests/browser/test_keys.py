"""Who may send, and how much: what a person is told of it, and what they can do."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.tabs import box, classify, press
from tests.integration.pages import PageProcess

KEYS = {"WEB_API_KEYS": "one-key, another-key"}  # pragma: allowlist secret - of this test


def test_nobody_is_asked_for_a_key(tab: Page) -> None:
    """Where no keys are set there is no field for one."""
    expect(tab.locator("#key-form")).to_be_hidden()


@pytest.mark.parametrize("site", [KEYS], indirect=True)
@pytest.mark.usefixtures("working")
def test_key_is_asked_for(refused_tab: Page) -> None:
    """Without a key, or with a wrong one, the field says what to do; the text is not lost."""
    # Reading needs no key.
    expect(refused_tab.locator("#feed .item")).to_have_count(1)
    field, told = refused_tab.get_by_label("API key", exact=True), refused_tab.locator("#key-note")
    expect(told).to_contain_text("Sending needs a key here")
    press(refused_tab, "Anybody?")
    expect(told).to_contain_text("Sending needs an API key: give it")
    expect(refused_tab.locator("#note")).to_contain_text("Not sent. Sending needs an API key")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    # A header can't even carry the second one.
    for wrong in ("none-of-yours", "schlüssel \u2192"):
        field.fill(wrong)
        expect(told).to_contain_text("Sending needs a key here")
        expect(field).to_have_attribute("aria-invalid", "false")
        press(refused_tab, "Anybody?")
        expect(told).to_contain_text("This API key is none of those that may send")
        expect(box(refused_tab)).to_have_value("Anybody?")
    refused_tab.locator("#lines").fill("a")
    refused_tab.locator("#batch-send").click()
    expect(refused_tab.locator("#batch-text")).to_contain_text("Not sent. This API key is none")


@pytest.mark.parametrize("site", [KEYS], indirect=True)
@pytest.mark.usefixtures("working")
def test_key_is_kept_for_the_tab(tab: Page) -> None:
    """A right key is sent with texts, verdicts and batches, and outlives a reload of its tab."""
    field = tab.get_by_label("API key", exact=True)
    field.fill("another-key")
    field.press("Enter")
    expect(box(tab)).to_be_focused()
    tab.reload()
    classify(tab, "I loved every minute of it.")
    tab.get_by_role("button", name="Right").click()
    expect(tab.locator("#thanks")).to_contain_text("Noted as positive.")
    tab.locator("#lines").fill("Great\nAwful")
    tab.locator("#batch-send").click()
    expect(tab.locator("#batch-text")).to_contain_text("Done: 2 of 2")


def test_key_that_is_wanted_later(refused_tab: Page, site: PageProcess) -> None:
    """A page that was opened before keys were set shows the field when it is refused."""
    expect(refused_tab.locator("#status")).to_contain_text("Kafka connected")
    site.end()
    site.restart(**KEYS)
    site.wait_until()
    press(refused_tab, "Anybody?")
    expect(refused_tab.get_by_label("API key", exact=True)).to_be_focused()


@pytest.mark.parametrize("site", [{"WEB_RATE_LIMIT": "1 per hour"}], indirect=True)
def test_too_many_are_told(refused_tab: Page, site: PageProcess) -> None:
    """Who sends too often reads how often one may, and when to try again."""
    assert site.ask("/api/events", {"text": "the one of this hour"})[0] == 202
    press(refused_tab, "One more.")
    note = refused_tab.locator("#note")
    expect(note).to_contain_text("Not sent. Too many requests: one caller may send 1 per hour. Try")
    expect(note).to_contain_text(" s.")
    expect(box(refused_tab)).to_have_value("One more.")


def test_far_too_long_text_is_told(refused_tab: Page) -> None:
    """A text that the server reads no further, as it is larger than any request, is told too."""
    press(refused_tab, "a" * 1_100_000)
    expect(refused_tab.locator("#note")).to_have_text(
        "Not sent: the text is far too long. More than the 1,048,576 bytes that may be sent here."
        " Shorten it and try again."
    )
