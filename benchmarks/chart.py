"""The chart of the README: each candidate's rate in shares of the copy loop's, as SVG."""

from html import escape

from benchmarks.candidates import COPY, WORKER
from benchmarks.targets import SHORT, Report, over

# Sizes in pixels. The labels' column holds the longest name; the last one
# `0.1%, 1/1000 of the worker`.
WIDTH, LABELS, FIGURES, ROW, BAR, TOP = 760, 300, 230, 30, 18, 46
BARS = WIDTH - LABELS - FIGURES

# Colours that keep a contrast of 4.5 on white and on GitHub's dark page, after the reader's choice.
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 14px }
.quiet { fill: #59636e }
.peer { fill: #8c959f }
.limit { fill: #57606a }
.ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .quiet { fill: #9198a1 }
  .peer { fill: #656c76 }
  .limit { fill: #b7bdc8 }
  .ours { fill: #4493f8 }
}
"""


def render(report: Report) -> str:
    """The chart of a run; the same figures make the same file.

    Args:
        report: What `make bench` wrote as JSON.
    """
    texts = report["speed"][SHORT]
    rates = {name: figures["events_per_second"] for name, figures in texts.items()}
    limit = max(rates.values())
    order = sorted(rates, key=lambda name: (name not in {COPY, WORKER}, -rates[name]))
    lines: list[str] = []
    for number, name in enumerate(order):
        top = TOP + number * ROW
        kind = {COPY: "limit", WORKER: "ours"}.get(name, "peer")
        # The shortest bar is a line, not nothing.
        width = max(BARS * rates[name] / limit, 1)
        of_limit = rates[name] / rates[COPY]
        share = f"{of_limit:.{0 if of_limit > 0.1 else 1}%}"  # noqa: PLR2004 - two figures
        times = f", 1/{over(texts, name):.0f} of the worker" if kind == "peer" else ""
        middle = top + BAR - 4
        lines += [
            f'<text x="{LABELS - 10}" y="{middle}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{LABELS}" y="{top}" width="{width:.1f}" height="{BAR}"/>',
            f'<text class="quiet" x="{LABELS + width + 8:.1f}" y="{middle}">{share}{times}</text>',
        ]
    height = TOP + len(order) * ROW + 8
    title = "Events a second, in shares of what Kafka itself can copy"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{title}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="10" y="24">{title}</text>',
        *lines,
        "</svg>\n",
    ])  # fmt: skip
