"""Claims about the model card."""

from importlib.metadata import version

import msgspec
import pytest

from trainer.evaluate import summary
from trainer.ingest import IngestReport, InputReport, SourceReport
from trainer.judging import behaviours
from trainer.params import Params
from trainer.release import render
from trainer.reports import NAMES, Behaviour, Comparison, Interval, Report

ABOUT = "Film reviews.\n\n> A. Author: A Paper, 2011.\n"
PARAMS = msgspec.convert(
    {
        "ingest": {
            "sources": [{"name": "films", "uri": "/a/path/of/mine.parquet", "about": ABOUT}]
        },
        "candidates": {"champion": {"kind": "trainer.champion:Champion", "params": {"C": 30}}},
        "release": "champion",
    },
    Params,
)
FIGURES = {name: Interval(0.9, 0.85, 0.95) for name in NAMES}
NOTED = IngestReport(
    1000, 1000, {}, [SourceReport("films", 1000, 1000, {}, [InputReport("films", 1, "f" * 64)])]
)


def make(**changes: object) -> Report:
    """A report of a candidate that is good at everything."""
    found = Report(
        candidate="champion",
        train_sha256="a" * 64,
        train_texts=900,
        test_sha256="b" * 64,
        test_texts=100,
        overall=FIGURES,
        domains={
            "tweets": {"accuracy": Interval(0.75, 0.7, 0.8), "log_loss": Interval(0.5, 0.4, 0.6)},
            "imdb": {name: figure for name, figure in FIGURES.items() if name != "macro_accuracy"},
        },
        behaviours={
            kind: Behaviour(100, 97, [f"'{kind} 1' got 0.51", f"'{kind} 2' got 0.52", "'third'"])
            for kind in behaviours.about()
        },
        size_bytes=12_345_678,
        compiled_difference=3.3e-16,
    )
    return msgspec.structs.replace(found, **changes)


def compared(*, films: bool = False) -> Comparison:
    """The only candidate, beside the earlier system where there are film reviews."""
    return Comparison(
        test_sha256="b" * 64,
        test_texts=100,
        earlier={"accuracy": 0.85},
        overall={"champion": FIGURES},
        films={"champion": FIGURES} if films else {},
        pairs=[],
    )


def card(**changes: object) -> str:
    """A card of such a report."""
    return render(PARAMS, "Counts **words**.", make(**changes), compared(), NOTED, {"films": 900})


def test_card_tells_what_was_measured() -> None:
    """Figures, domains, behaviours with failures, data, parameters and versions stand in it."""
    text = card()
    for wanted in (
        "Counts **words**.",
        "| `films` | 900 | `" + "f" * 64 + "` |",
        "> A. Author: A Paper, 2011.",
        "| F1 | 0.9000 | 0.8500 to 0.9500 |",
        "| tweets | 0.750 (0.700 to 0.800) | - | - | - |",
        "| 100 | 97.0% |",
        "- negation: 'negation 1' got 0.51",
        "12.3 MB",
        "at most 3.3e-16",
        "sentiment release",
        "kind: trainer.champion:Champion",
        f"scikit-learn {version('scikit-learn')}",
    ):
        assert wanted in text, wanted
    assert text.index("| imdb |") < text.index("| tweets |")


def test_card_says_whose_figures_they_are() -> None:
    """The released model saw all texts; its figures are those of a twin that saw fewer."""
    text = " ".join(card().split())
    assert "is fitted on all 1,000 texts" in text
    assert "twin" in text
    assert "from the 900 training texts alone and judged on the 100 test texts" in text


def test_card_tells_nothing_of_the_machine() -> None:
    """No address of the data is in it, no place is left open, and it's the same each time."""
    text = card()
    assert "/a/path" not in text
    assert "$" not in text
    assert text == card()
    assert text == card(behaviours=dict(sorted(make().behaviours.items())))
    assert not any(line != line.rstrip() for line in text.splitlines())
    assert "\n\n\n" not in text


@pytest.mark.parametrize("films", [True, False])
def test_card_puts_the_earlier_system_beside(films: bool) -> None:  # noqa: FBT001 - a parameter
    """Its reported figures stand beside ours of film reviews; without these, they are left out."""
    text = render(PARAMS, "", make(), compared(films=films), NOTED, {})
    assert ("| accuracy | 0.85 | 0.9000 (0.8500 to 0.9500) |" in text) == films
    assert ("| F1 | - | 0.9000 (0.8500 to 0.9500) |" in text) == films
    assert ("as reported" in text) == films
    assert "\n\n\n" not in text


def test_card_says_why_a_model_is_not_compiled() -> None:
    """The reason stands where else the distance from scikit-learn would."""
    text = card(compiled_difference=None, not_compiled="Workers refuse it: x.Y.")
    assert "Served by scikit-learn. Workers refuse it: x.Y." in text


def test_card_without_failures() -> None:
    """Where all cases passed, the card says so."""
    text = card(behaviours={"negation": Behaviour(50, 50, [])})
    assert "None failed." in text


def test_summary_has_a_column_for_each_candidate() -> None:
    """Each figure and each behaviour is a line, with one number per candidate."""
    lines = summary({"a": make(), "b": make()}).splitlines()
    assert lines[0].split() == ["a", "b"]
    assert len(lines) == 2 + len(NAMES) + len(behaviours.about())
    assert lines[1].split() == ["accuracy", "0.9000", "0.9000"]
    assert lines[-1].split() == ["tweets", "97.0%", "97.0%"]
    assert not any(line != line.rstrip() for line in lines)
