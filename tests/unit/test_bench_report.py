"""Claims about what is told of a run: the table, the chart, the documents."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from benchmarks import report as documents
from benchmarks.bench import LONG, SHORT
from benchmarks.candidates import COPY, PEERS, WORKER
from sentiment.errors import InputError

SVG = "{http://www.w3.org/2000/svg}"


def report() -> dict[str, Any]:
    """The worker at 100,000 a second, the copy loop at as much, Faust's `take` at 2,500."""
    short = {COPY: speed(100_000), WORKER: speed(100_000), "Faust, take(1000)": speed(2_500)}
    return {
        "quick": False,
        "backlogs": {SHORT: 500_000, LONG: 150_000},
        "partitions": 4,
        "speed": {SHORT: short, LONG: {COPY: speed(80_000), WORKER: speed(40_000)}},
        "latency": {"events_per_second": 25_000.0, "probes": 100, "p50_ms": 18.0, "p99_ms": 70.0},
        "single_events": {"events_per_second": 0.0, "probes": 50, "p50_ms": 9.0, "p99_ms": 12.0},
        "start": {"seconds": 1.5, "runs": [1.4, 1.5, 1.6]},
        "together": {"one": 100_000.0, "two": 130_000.0},
        "phases_s": {SHORT: {"decode": 1.5, "elapsed": 10}, LONG: {"decode": 3, "elapsed": 25}},
        "memory_mb": {"100000": 300.0, "500000": 301.0, "1000000": 303.0},
        "trends": {"events_per_second": 2_000_000.0, "events": 9_000_000, "tallies": 40_000},
        "left_out": {"PySpark, pandas UDF": "no wheel | for this Python"},
        "scoring": {},
        "machine": {"cores": 2, "processor": "x86_64", "python": "3.11.7"},
    }


def speed(rate: float) -> dict[str, Any]:
    """A candidate's figures."""
    return {"events_per_second": rate, "processor_s": 10.0, "broker_s": 5.0, "runs": [rate]}


def test_each_target_stands_beside_its_figure() -> None:
    """A row is reached or not by its own target, in its own direction."""
    found = {row.what: row.verdict for row in documents.rows(report())}
    assert found["worker over the copy loop, 40-word texts"] == "yes"
    assert found["worker over the copy loop, full reviews"] == "no"
    assert found[f"worker over Faust, take(1000); {SHORT}"] == "yes"
    assert found["event to readable result at 25,000 events/s, p50"] == "yes"
    assert found["event to readable result at 25,000 events/s, p99"] == "no"
    assert found["resident memory after 1,000,000 events"] == "yes"
    assert found["two workers over one"] == ""


def test_a_peer_that_is_left_out_is_told_with_the_reason() -> None:
    """Nobody is dropped from the table silently."""
    rows = {row.what: row for row in documents.rows(report())}
    spark = rows[f"worker over PySpark, pandas UDF; {SHORT}"]
    assert (spark.measured, spark.shown, spark.verdict) == (None, "no wheel | for this Python", "")
    assert rows[f"worker over Faust, per event; {SHORT}"].shown == "not in this run"
    tables = documents.tables(report())
    assert "PySpark, pandas UDF is left out: no wheel" in tables[f"rates, {SHORT}"]
    assert "| no wheel \\| for this Python |" in tables["targets"]


def test_the_chart_is_an_svg_whose_bars_are_the_rates() -> None:
    """It parses, a bar is as long as its candidate is fast, and it needs nothing from elsewhere."""
    root = ET.fromstring(documents.render(report()))  # noqa: S314 - our own file
    bars = {bar.get("class"): float(bar.get("width", "0")) for bar in root.iter(f"{SVG}rect")}
    assert bars["limit"] == bars["ours"] == pytest.approx(documents.BARS)
    assert bars["peer"] == pytest.approx(documents.BARS / 40, abs=0.1)
    words = " ".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))
    for expected in (WORKER, COPY, "Faust, take(1000)", "1/40 of the worker"):
        assert expected in words
    style = root.findtext(f"{SVG}style") or ""
    assert "prefers-color-scheme: dark" in style
    assert "href" not in documents.render(report())


def test_the_chart_holds_its_texts() -> None:
    """No text leaves the picture, and the slowest candidate still has a bar.

    A letter of the widest of the fonts is 7.2 pixels wide on average.
    """
    made = report()
    made["speed"][SHORT] |= {peer.name: speed(1) for peer in PEERS} | {PEERS[0].name: speed(99_999)}
    root = ET.fromstring(documents.render(made))  # noqa: S314 - our own file
    _, _, width, height = map(float, root.get("viewBox", "").split())
    for text in root.iter(f"{SVG}text"):
        size = 7.2 * len(text.text or "")
        left = float(text.get("x", "-1")) - (size if text.get("text-anchor") else 0)
        assert 0 < left < left + size < width
        assert 0 < float(text.get("y", "-1")) < height
    assert min(float(bar.get("width", "0")) for bar in root.iter(f"{SVG}rect")) >= 1


def test_the_same_figures_make_the_same_files() -> None:
    """Chart and tables hang on the figures alone."""
    assert documents.render(report()) == documents.render(report())
    assert documents.tables(report()) == documents.tables(report())


def test_the_document_has_a_place_for_every_table(tmp_path: Path) -> None:
    """`python -m benchmarks.report` fills docs/performance.md, the second time with no change."""
    run, document, picture = (tmp_path / name for name in ("run.json", "p.md", "c.svg"))
    run.write_text(json.dumps(report()))
    document.write_text(documents.DOCUMENT.read_text())
    command = [str(run), "--document", str(document), "--chart", str(picture)]
    for _ in range(2):
        result = CliRunner().invoke(documents.main, command)
        assert result.exit_code == 0, result.output
        filled = document.read_text()
        assert "| worker over the copy loop, 40-word texts | at least 0.95 | 1.00 times |" in filled
        assert filled.count("<!-- bench: end -->") == len(documents.tables(report()))
    assert ET.fromstring(picture.read_text()).tag == f"{SVG}svg"  # noqa: S314 - our own file


def test_a_table_without_a_place_is_told() -> None:
    """A mark that somebody removed is an error, not a table that is lost."""
    with pytest.raises(InputError, match="'bench: cost'"):
        documents.fill("<!-- bench: run -->\n<!-- bench: end -->\n", {"run": "x\n", "cost": "y\n"})
