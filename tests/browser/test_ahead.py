"""Parts of the page whose server side comes with the API: against stand-ins until it is there.

To change over: drop `stand_ins` where the server answers by itself. What a test claims stays.
"""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.stand_ins import StandIns
from tests.browser.tabs import PATIENCE_MS, classify

pytestmark = pytest.mark.usefixtures("stand_ins")


@pytest.mark.usefixtures("working")
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


@pytest.mark.usefixtures("working")
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


@pytest.mark.usefixtures("working")
def test_hostile_text_is_highlighted_as_text(tab: Page) -> None:
    """Tags and bidi controls in an explained text are shown as they were written."""
    text = "<b onclick=alert(1)>wonderful</b> \u202eevol\u202c <script>alert('run')</script> dull"
    classify(tab, text)
    expect(tab.locator("#echo mark").first).to_be_visible()
    assert tab.locator("#echo :not(mark), #reasons b, #reasons script").count() == 0


@pytest.mark.usefixtures("working")
def test_answer_is_judged(tab: Page, stand_ins: StandIns) -> None:
    """Right and wrong are sent with the answer's id, noted in words, and asked anew each time."""
    classify(tab, "I loved every minute of it.")
    wrong = tab.get_by_role("button", name="Wrong")
    wrong.click()
    expect(tab.locator("#thanks")).to_have_text("Noted as negative. Your text is not kept.")
    expect(wrong).to_have_attribute("aria-pressed", "true")
    (sent,) = stand_ins.feedback
    expect(tab.locator(f'#feed [data-id="{sent["id"]}"]')).to_have_count(1)
    assert sent["verdict"] == "wrong"
    classify(tab, "What a waste of two hours.")
    expect(tab.locator("#thanks")).to_have_text("")
    expect(wrong).to_have_attribute("aria-pressed", "false")
    tab.get_by_role("button", name="Right").click()
    expect(tab.locator("#thanks")).to_contain_text("Noted as negative.")
    assert [item["verdict"] for item in stand_ins.feedback] == ["wrong", "right"]


@pytest.mark.usefixtures("working")
def test_challenger_answers(tab: Page, stand_ins: StandIns) -> None:
    """An answer of a challenger says so."""
    stand_ins.challenger = True
    classify(tab, "I loved every minute of it.")
    expect(tab.locator("#details .challenger")).to_have_text("challenger")


def test_trends_fill_the_chart(tab: Page) -> None:
    """With trends the chart shows ten minutes at once: bars, sums, dead letters, readable axes."""
    expect(tab.locator("#readout")).to_have_text(
        re.compile(r"^2\d\d,\d{3} results in ten minutes$")
    )
    assert tab.locator("#bars .up").count() >= 59
    assert tab.locator("#bars .down").count() >= 59
    expect(tab.locator("#bars .dead")).to_have_count(3)
    expect(tab.locator("#figure-dead")).to_have_text("6")
    expect(tab.locator("#figure-positive")).to_have_text("63 %")
    expect(tab.locator("#bars .axis").first).to_have_text(re.compile(r"^\d+/s$"))


def test_pasted_lines_are_classified(tab: Page, stand_ins: StandIns) -> None:
    """Pasted lines are sent as what they look like, followed to their end, and downloaded."""
    lines = tab.get_by_role("textbox", name="Many at once")
    for text, kind in (
        ('{"text": "Great"}\n{"text": "Bad"}\n{"text": "x"}', "application/jsonl"),
        ("id,text\n1,Great\n2,Bad\n3,x", "text/csv"),
        ("Great, really\nBad\nSo so", "text/plain"),
    ):
        lines.fill(text)
        tab.get_by_role("button", name="Classify all").click()
        expect(tab.locator("#batch-text")).to_contain_text("of 3 lines answered")
        expect(tab.locator("#batch-text")).to_contain_text("Done: 2 of 3", timeout=PATIENCE_MS)
        assert stand_ins.batches[-1] == (kind, text)
    expect(tab.locator("#batch-progress")).to_have_js_property("value", 3)
    refused = tab.locator("#refused")
    refused.locator("summary").click()
    expect(refused.locator("li")).to_have_text(["Line 3: the text is empty <b>"])
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download CSV").click()
    assert download.value.url.endswith("/api/batches/b1/results?format=csv")
    expect(tab.get_by_role("link", name="JSON Lines")).to_be_visible()


def test_file_is_classified(tab: Page, stand_ins: StandIns, tmp_path: Path) -> None:
    """A file goes as its name says; it can be taken back; dropping one is choosing it."""
    file = tmp_path / "reviews.jsonl"
    file.write_text("".join(json.dumps({"text": f"Great {n}"}) + "\n" for n in range(4)))
    chooser = tab.locator("#file")
    chooser.set_input_files(file)
    expect(tab.locator("#file-name")).to_have_text("reviews.jsonl")
    expect(tab.locator("#lines")).to_be_disabled()
    tab.get_by_role("button", name="Remove").click()
    expect(tab.locator("#lines")).to_be_enabled()
    expect(chooser).to_be_focused()
    data = tab.evaluate_handle(
        """() => { const data = new DataTransfer();
        data.items.add(new File(["text\\nGreat\\nBad\\nx"], "dropped.csv")); return data; }"""
    )
    tab.locator("#batch").dispatch_event("drop", {"dataTransfer": data})
    expect(tab.locator("#file-name")).to_have_text("dropped.csv")
    tab.get_by_role("button", name="Classify all").click()
    expect(tab.locator("#batch-text")).to_contain_text("Done", timeout=PATIENCE_MS)
    assert stand_ins.batches == [("text/csv", "text\nGreat\nBad\nx")]


def test_batch_has_limits(tab: Page, stand_ins: StandIns) -> None:
    """Nothing and too much are answered by the page itself, in words."""
    send = tab.get_by_role("button", name="Classify all")
    send.click()
    expect(tab.locator("#batch-text")).to_contain_text("Paste some lines or choose a file first")
    big = {"name": "big.txt", "mimeType": "text/plain", "buffer": b"a\n" * 600_000}
    tab.locator("#file").set_input_files(big)  # type: ignore[arg-type]  # a typed dictionary
    send.click()
    expect(tab.locator("#batch-text")).to_contain_text("1,200,000 bytes, more than the 1,048,576")
    assert stand_ins.batches == []


def test_batch_goes_on_after_a_reload(tab: Page) -> None:
    """A batch that was sent is still followed when its page is loaded again."""
    tab.get_by_role("textbox", name="Many at once").fill("Great\nBad\nx")
    tab.get_by_role("button", name="Classify all").click()
    expect(tab.locator("#batch-text")).to_contain_text("of 3 lines answered")
    tab.reload()
    expect(tab.locator("#batch-text")).to_contain_text("Done: 2 of 3", timeout=PATIENCE_MS)
