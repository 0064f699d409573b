"""Claims about the trends' program without a Kafka: its memory, and its settings."""

import subprocess
import sys

from stream_worker.trends import book

# As much of everything as there may be.
FULL = """
import re
from pathlib import Path
from sentiment.wire import Tally, TallyCount
from sentiment.wire import Feedback, Model
from sentiment.feedback import Labels
from stream_worker.trends.book import Book
import faust

# The peak since the start of this program: `getrusage` has that of whoever started it, too.
peak = lambda: re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
used = lambda: int(peak()) // 1024
NOW = 1_700_000_000
class Nowhere(dict):
    def __setitem__(self, key, value): pass
book, labels = Book(Nowhere(), "ours"), Labels()
for number in range(300):
    for partition in range(3):
        version = Model("sentiment", f"v{number % 3}")
        for at in (NOW - 10 * number, NOW - 60 * number, NOW - 3600 * number):
            first = 100 * (3 * number + partition)
            sources = [f"{'s' * 200}{one}" for one in range(400)]
            counts = [TallyCount(source, at, 7, 7, 7, None, 1.5, 2.5) for source in sources]
            book.merge([Tally("e", partition, first, 10**9 + first, version, 0, counts)], NOW)
for partition in range(100, 135):
    for hour in range(720):
        counts = [TallyCount("x", NOW - 3600 * hour - ten, 1) for ten in range(0, 3600, 60)][:60]
        book.merge([Tally("e", partition, 0, 10**9, version, 0, counts)], NOW)
book.save(NOW)
for number in range(250_000):
    model = Model("sentiment", "v" * 200 + str(number % 150))
    labels.add("n" * 200 + str(number), Feedback("a", "positive", model, "positive"))
print(used(), sum(book._rows.values()), len(book._windows))
"""


def test_full_books_stay_below_the_charts_limit() -> None:
    """Rows, windows and labels at their bounds leave half of 512 MiB to records in hand."""
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    mebibytes, rows, kept = map(int, done.stdout.split())
    assert rows > book.MAX_NAME_ROWS
    assert kept > 50_000
    assert mebibytes < 384


# All variables that Faust knows, with values that it either refuses or obeys.
SURROUNDED = """
import os
from faust.types.settings import Settings as Fausts
if {surrounded}:
    for name in [param.env_name for param in Fausts.SETTINGS.values() if param.env_name]:
        os.environ[name] = "1"
from sentiment.settings import Settings
from stream_worker.trends.app import Trends
conf = Trends(Settings(), "ours", lambda: True).app.conf
known = [param for param in Fausts.SETTINGS.values() if not param.version_deprecated]
for param in known:
    # Two of ours differ anyway: a folder of its own, and a random name.
    if "dir" not in param.name and param.name != "reply_to":
        print(param.name, getattr(conf, param.name))
"""


def test_no_variable_of_fausts_counts() -> None:
    """With each of Faust's variables set, every setting of the app is what it is without."""
    without, surrounded = (
        subprocess.run(
            [sys.executable, "-c", SURROUNDED.format(surrounded=one)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for one in (False, True)
    )
    assert len(without.splitlines()) > 80
    assert surrounded == without
