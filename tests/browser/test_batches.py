"""Many lines at one time: pasted, chosen or dropped, followed to their end, and downloaded."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.integration.pages import PageProcess
from tests.integration.workers import WorkerProcess


def classify_all(tab: Page, lines: str = "") -> Locator:
    """Send what is chosen, or lines; where it is told how they are."""
    if lines:
        tab.get_by_role("textbox", name="Many at once").fill(lines)
    tab.get_by_role("button", name="Classify all").click()
    return tab.locator("#batch-text")


@pytest.mark.usefixtures("served")
def test_pasted_lines_are_classified(tab: Page) -> None:
    """Pasted lines are read as what they look like, followed to their end, and downloaded."""
    expected = {
        '{"text": "Great"}\n{"text": "Awful"}\n{"text": " "}': ["Great", "Awful", ""],
        'id,text\n1,"Great, really"\n2,Awful\n3," "': ["Great, really", "Awful", ""],
        "Great, really\n\nAwful": ["Great, really", "Awful"],
    }
    for lines, texts in expected.items():
        told = classify_all(tab, lines)
        count = f"Done: 2 of {len(texts)} lines answered · ▲ 1 positive · ▼ 1 negative"
        expect(told).to_have_text(count)
        expect(tab.locator("#batch-progress")).to_have_js_property("value", len(texts))
        with tab.expect_download() as download:
            tab.get_by_role("link", name="Download CSV").click()
        with Path(download.value.path()).open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["text"] for row in rows] == texts
        assert [row["sentiment"] for row in rows][:2] == ["positive", "negative"]
        assert download.value.suggested_filename.endswith(".csv")
    expect(tab.locator("#refused")).to_be_hidden()
    with tab.expect_download() as download:
        tab.get_by_role("link", name="JSON Lines").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == 2


@pytest.mark.usefixtures("served")
def test_refused_lines_are_named(tab: Page) -> None:
    """Lines that can't be sent are listed with number and reason, and hundreds of them counted."""
    told = classify_all(tab, 'text\nGreat\n" "')
    expect(told).to_contain_text("Done: 1 of 2")
    refused = tab.locator("#refused")
    refused.locator("summary").click()
    expect(refused.locator("summary")).to_have_text("1 line refused")
    expect(refused.locator("li")).to_have_text(["Line 3: the text is empty or only white space."])
    told = classify_all(tab, '{"text": "Great"}\n' + '{"body": "<b>x</b>"}\n' * 130)
    expect(told).to_contain_text("Done: 1 of 131")
    expect(refused.locator("summary")).to_have_text("130 lines refused")
    expect(refused.locator("li")).to_have_count(101)
    expect(refused.locator("li").last).to_have_text("And 30 more; the results name all.")


@pytest.mark.usefixtures("served")
def test_file_is_classified(tab: Page, tmp_path: Path) -> None:
    """A file goes as its name says; it can be taken back; dropping one is choosing it."""
    file = tmp_path / "reviews.jsonl"
    file.write_text("".join(json.dumps({"text": f"Great {n}"}) + "\n" for n in range(4)))
    chooser = tab.locator("#file")
    chooser.set_input_files(file)
    expect(tab.locator("#file-name")).to_have_text("reviews.jsonl")
    expect(tab.locator("#lines")).to_be_disabled()
    expect(classify_all(tab)).to_contain_text("Done: 4 of 4 lines")
    tab.get_by_role("button", name="Remove").click()
    expect(tab.locator("#lines")).to_be_enabled()
    expect(chooser).to_be_focused()
    # By its first line, without its name, it would be a text.
    data = tab.evaluate_handle(
        """() => { const data = new DataTransfer();
        data.items.add(new File(["Comment\\nGreat\\nAwful"], "dropped.csv")); return data; }"""
    )
    tab.locator("#batch").dispatch_event("drop", {"dataTransfer": data})
    expect(tab.locator("#file-name")).to_have_text("dropped.csv")
    expect(classify_all(tab)).to_contain_text("Done: 2 of 2 lines")


@pytest.mark.parametrize("site", [{"WEB_MAX_UPLOAD_BYTES": "1048576"}], indirect=True)
def test_page_knows_the_limits(tab: Page) -> None:
    """Nothing and too much are answered by the page itself, in words."""
    expect(tab.locator("#batch-hint")).to_contain_text("up to 10,000 lines and 1 MiB")
    expect(classify_all(tab)).to_contain_text("Paste some lines or choose a file first")
    big = {"name": "big.txt", "mimeType": "text/plain", "buffer": b"a\n" * 600_000}
    tab.locator("#file").set_input_files(big)  # type: ignore[arg-type]  # a typed dictionary
    told = classify_all(tab)
    expect(told).to_contain_text("1,200,000 bytes, more than the 1,048,576")


@pytest.mark.parametrize(
    "site", [{"WEB_MAX_UPLOAD_LINES": "3", "WEB_MAX_BATCHES": "1"}], indirect=True
)
def test_server_refuses_in_words(refused_tab: Page) -> None:
    """What the server takes no batch for is a sentence, with when to try again, and a name."""
    told = classify_all(refused_tab, "a\nb\nc\nd")
    expect(told).to_have_text("Not sent. More than 3 lines in one upload.")
    told = classify_all(refused_tab, '{"text": " "}\n{"body": "x"}')
    expect(told).to_have_text("Not sent. No line of the upload can be sent.")
    expect(refused_tab.locator("#refused-count")).to_have_text("2 lines refused")
    expect(classify_all(refused_tab, "a\nb")).to_contain_text("0 of 2 lines answered")
    told = classify_all(refused_tab, "c")
    expect(told).to_contain_text("As many uploads as this server keeps are still waited for.")
    expect(told).to_contain_text("Try again in 10 s. Request ")
    name = (told.text_content() or "").removesuffix(".").rpartition(" ")[2]
    assert len(name) == 32


def test_batch_goes_on_after_a_reload(
    tab: Page, start_worker: Callable[..., WorkerProcess]
) -> None:
    """A batch that waits for a worker is still followed when its page is loaded again."""
    expect(classify_all(tab, "Great\nAwful\nGood")).to_contain_text("0 of 3 lines answered")
    expect(tab.locator("#downloads")).to_be_hidden()
    tab.reload()
    told = tab.locator("#batch-text")
    expect(told).to_contain_text("0 of 3 lines answered")
    start_worker()
    expect(told).to_contain_text("Done: 3 of 3 lines")


def test_batch_that_is_gone_is_told(refused_tab: Page, site: PageProcess) -> None:
    """A server that started anew knows no batch of before; the page says what became of it."""
    told = classify_all(refused_tab, "Great\nAwful")
    expect(told).to_contain_text("0 of 2 lines answered")
    site.end()
    expect(told).to_contain_text("Trying again")
    site.restart()
    expect(told).to_contain_text("no longer knows this batch")
