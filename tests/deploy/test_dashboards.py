"""Claims about the Grafana dashboards that need no Prometheus."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from observability.boards import files
from observability.panels import Board, Panel, metrics_of, narrowed, render

BOARDS = {name: json.loads(text) for name, text in files().items()}
# Those of Grafana's units that we use, as Grafana spells them; a wrong one is shown as a word.
UNITS = {"short", "s", "percentunit", "eps", "ops", "reqps"}

each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The panels of a dashboard without the headings of its rows."""
    return (panel for panel in board["panels"] if panel["type"] != "row")


@each_board
def test_panels_fill_the_grid_without_overlap(board: dict[str, Any]) -> None:
    """No two panels share a cell, none leaves the grid, and no line of panels has a gap."""
    taken: dict[tuple[int, int], int] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        for y in range(place["y"], place["y"] + place["h"]):
            for x in range(place["x"], place["x"] + place["w"]):
                assert 0 <= x < 24
                assert taken.setdefault((x, y), panel["id"]) == panel["id"]
    assert len(taken) == 24 * (1 + max(y for _, y in taken))


@each_board
def test_panels_say_what_they_show(board: dict[str, Any]) -> None:
    """Each has a title, a sentence, a unit that there is, and queries with honest legends."""
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in panels(board):
        assert re.fullmatch(r"[A-Z].*[^.]", panel["title"])
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["targets"]
        for target in panel["targets"]:
            assert target["legendFormat"] or panel["type"] == "table"
            # A legend may only name labels that the query leaves on its series.
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert re.search(rf"by \([^)]*\b{label}\b[^)]*\)", target["expr"])


@each_board
def test_every_query_obeys_the_variables(board: dict[str, Any]) -> None:
    """No data source is fixed; each series is narrowed to the chosen jobs and instances."""
    assert set(re.findall(r'"uid": "([^"]+)"', json.dumps(board))) == {
        "${datasource}",
        board["uid"],
    }
    variables = {variable["name"] for variable in board["templating"]["list"]}
    assert variables >= {"datasource", "job", "instance"}
    marks = [mark["expr"] for mark in board["annotations"]["list"]]
    for query in [*marks, *(t["expr"] for panel in panels(board) for t in panel["targets"])]:
        series = sum(query.count(name + "{") for name in metrics_of(query))
        assert query.count('job=~"$job"') == query.count('instance=~"$instance"') == series > 0
        assert set(re.findall(r'"\$(\w+)"', query)) <= variables


def test_addresses_stay() -> None:
    """Bookmarks and links to the dashboards hold."""
    assert {board["uid"] for board in BOARDS.values()} == {
        "sentiment-throughput",
        "sentiment-model",
        "sentiment-page",
    }


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("rate(sentiment_event_total[5m])", "'sentiment_event_total' is no metric"),
        ("rate(sentiment_event_latency_seconds[5m])", "is no metric"),
        ('sentiment_consumer_lag{partitions="1"}', "no label {'partitions'}"),
        ("sum by (model) (sentiment_results_total)", "the label {'model'}"),
        ("sum(rate(up[5m])) by (job)", "'up' is no metric"),
    ],
)
def test_unknown_names_are_refused(query: str, words: str) -> None:
    """A panel can't be made that asks for a metric or a label that doesn't exist."""
    panel = Panel("A", "B.", {"c": query})
    board = Board("x", "X", "Y.", ("sentiment_web_feeds",), {"R": (panel,)}, {})
    with pytest.raises(ValueError, match=re.escape(words)):
        render(board)


def test_matchers_join_those_that_are_there() -> None:
    """A series gets the matchers of the labels that it has, beside its own."""
    query = 'sum(rate(sentiment_events_total{partition="0"}[5m])) / sentiment_web_feeds'
    assert narrowed(query, {"job": "a", "topic": "b"}) == (
        'sum(rate(sentiment_events_total{job=~"a", topic=~"b", partition="0"}[5m]))'
        ' / sentiment_web_feeds{job=~"a"}'
    )
