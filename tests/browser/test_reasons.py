"""Why a text has its answer, and a person's word on it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from sentiment import wire
from sentiment.settings import Settings
from sentiment.wire import Feedback
from tests.browser.tabs import classify
from tests.integration.pages import publish, result
from tests.integration.workers import WorkerProcess, read


@pytest.mark.usefixtures("served")
def test_words_are_highlighted(tab: Page) -> None:
    """The words that moved the answer stand out, by sign and strength, also behind emoji."""
    text = "\U0001f600\U0001f600 The acting was wonderful, the story dull. مرحبا"
    classify(tab, text)
    up = tab.locator('#echo mark[data-sentiment="positive"]', has_text="wonderful")
    down = tab.locator('#echo mark[data-sentiment="negative"]', has_text="dull")
    # Exactly the word: positions are those of code points, and each emoji is two for the browser.
    expect(up).to_have_text("wonderful")
    expect(down).to_have_text("dull")
    expect(up).to_have_attribute("title", re.compile(r"^\+\d"))
    expect(down).to_have_attribute("title", re.compile(r"^\u2212\d"))
    styles = [mark.evaluate("m => getComputedStyle(m).textDecorationStyle") for mark in (up, down)]
    assert styles == ["solid", "wavy"]


@pytest.mark.usefixtures("served")
def test_reasons_are_listed(tab: Page) -> None:
    """The strongest n-grams come as a list, strongest first, with signed shares in words."""
    classify(tab, "The acting was wonderful, the story dull.")
    reasons = tab.get_by_role("list", name="What weighed most").get_by_role("listitem")
    assert 2 <= reasons.count() <= 6
    shares = [
        int(re.sub(r"[^\d]", "", share))
        for share in tab.locator("#reasons .reason-share").all_text_contents()
    ]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 100
    expect(reasons.filter(has_text="wonderful").first).to_contain_text("speaks for positive")
    expect(reasons.filter(has_text="dull").first).to_contain_text("speaks for negative")


@pytest.mark.usefixtures("served")
def test_hostile_text_is_highlighted_as_text(tab: Page) -> None:
    """Tags and bidi controls in an explained text are shown as they were written."""
    text = "<b onclick=alert(1)>wonderful</b> \u202eevol\u202c <script>alert('run')</script> dull"
    classify(tab, text)
    expect(tab.locator("#echo mark").first).to_be_visible()
    assert tab.locator("#echo :not(mark), #reasons b, #reasons script").count() == 0


@pytest.mark.usefixtures("working")
def test_answer_is_judged(tab: Page, settings: Settings) -> None:
    """Right and wrong are on the topic with what the answer was, noted in words, asked anew."""
    classify(tab, "I loved every minute of it.")
    wrong = tab.get_by_role("button", name="Wrong")
    wrong.click()
    expect(tab.locator("#thanks")).to_have_text("Noted as negative. Your text is not kept.")
    expect(wrong).to_have_attribute("aria-pressed", "true")
    classify(tab, "What a waste of two hours.")
    expect(tab.locator("#thanks")).to_have_text("")
    expect(wrong).to_have_attribute("aria-pressed", "false")
    tab.get_by_role("button", name="Right").click()
    expect(tab.locator("#thanks")).to_contain_text("Noted as negative.")
    records = read(settings, settings.topics.feedback, lambda seen: len(seen) >= 2)
    opinions = {opinion.id: opinion for opinion in (given(record.value()) for record in records)}
    lines = tab.locator("#feed .item")
    bad, good = (opinions[lines.nth(number).get_attribute("data-id") or ""] for number in (0, 1))
    assert (good.sentiment, good.label, good.text) == ("positive", "negative", None)
    assert (bad.sentiment, bad.label, bad.text) == ("negative", "negative", None)
    assert good.model is not None


def given(value: bytes | None) -> Feedback:
    """The feedback in a record."""
    return wire.decode_feedback(value or b"")


@pytest.mark.parametrize("site", [{"WEB_RECENT_RESULTS": "1"}], indirect=True)
@pytest.mark.usefixtures("working")
def test_forgotten_answer_is_judged(tab: Page, settings: Settings) -> None:
    """An answer that the server no longer has can still be judged: the page knows what it was."""
    classify(tab, "What a waste of two hours.")
    publish(settings, result("later"))
    expect(tab.locator("#feed .tag", has_text="later")).to_be_visible()
    tab.get_by_role("button", name="Wrong").click()
    expect(tab.locator("#thanks")).to_contain_text("Noted as positive.")
    (record,) = read(settings, settings.topics.feedback, lambda seen: len(seen) >= 1)
    assert given(record.value()).model is not None


def test_challenger_answers(
    tab: Page, challenged: str, start_worker: Callable[..., WorkerProcess]
) -> None:
    """An answer of a challenger on trial says so."""
    worker = start_worker(
        MLFLOW_TRACKING_URI=challenged, MODEL_CANARY_SHARE="1", MODEL_POLL_INTERVAL_S="0.2"
    )
    worker.wait_for_log("challenger")
    classify(tab, "I loved every minute of it.")
    expect(tab.locator("#details .challenger")).to_have_text("challenger")
    expect(tab.locator("#details")).to_contain_text("sentiment v2")
