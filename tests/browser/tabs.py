"""What the browser tests share: a tab whose console is watched, and using its page."""

from playwright.sync_api import BrowserContext, Dialog, Locator, Page, expect

# The way through Kafka takes tens of milliseconds, the start of a worker or a broker seconds, all
# of it much longer on a busy machine. Playwright's own five seconds are for a quiet one.
PATIENCE_MS = 90_000
expect.set_options(timeout=PATIENCE_MS)


def watched(context: BrowserContext, complaints: list[str]) -> Page:
    """A new tab that collects what the browser complains of."""
    tab = context.new_page()
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))

    def refuse(dialog: Dialog) -> None:
        complaints.append(dialog.message)
        dialog.dismiss()

    tab.on("dialog", refuse)
    return tab


def box(tab: Page) -> Locator:
    """Where a text is written."""
    return tab.get_by_role("textbox", name="How does it sound?")


def press(tab: Page, text: str) -> None:
    """Send a text, which may be refused."""
    box(tab).fill(text)
    tab.get_by_role("button", name="Classify", exact=True).click()


def classify(tab: Page, text: str) -> None:
    """Send a text and wait for its answer."""
    press(tab, text)
    expect(tab.locator("#echo")).to_have_text(text)
