"""Claims about preprocessing: what becomes of each text, and that nothing leaks."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, strategies as st

from sentiment.errors import InputError, SentimentError
from sentiment.model.text import APOSTROPHES, tokens
from sentiment.registry.artifact import checksums
from trainer import preprocess as stage, tables
from trainer.commands.stages import preprocess as command
from trainer.params import Preprocess
from trainer.preprocess import (
    PreprocessReport,
    check,
    clean,
    copies,
    essence,
    held_out,
    preprocess,
)

Row = tuple[str, int, str, str, str]


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """A raw table of texts, labels, groups, sources and splits."""
    frame = pd.DataFrame(rows, columns=["text", "label", "group", "source", "split"])
    return frame.assign(domain=frame["source"], label=frame["label"].astype("int8"))


def films(count: int = 60, reviews: int = 5) -> list[Row]:
    """Made reviews, as many of each label; each film has both."""
    return [
        (f"review {n} of film {film}", n % 2, f"imdb:{film}", "imdb", "auto")
        for film in range(count)
        for n in range(reviews)
    ]


def run(
    rows: Sequence[Row] | pd.DataFrame, folder: Path, share: float = 0.2, seed: int = 0
) -> tuple[PreprocessReport, pd.DataFrame, pd.DataFrame]:
    """Run the stage; its report and tables."""
    frame = rows if isinstance(rows, pd.DataFrame) else table(rows)
    tables.write(frame, folder / "raw" / "texts.parquet")
    params = Preprocess(test_share=share, seed=seed)
    made = preprocess(params, folder / "raw", folder / "prepared")
    train, test = (
        pd.read_parquet(folder / "prepared" / name) for name in (tables.TRAIN, tables.TEST)
    )
    return made, train, test


def test_ambiguous_texts_are_dropped_and_all_is_counted(tmp_path: Path) -> None:
    """A text with both labels goes with all its copies; the report accounts for every row."""
    rows = [
        *films(),
        ("So so.", 1, "t:1", "tweets", "train"),
        ("so so", 0, "t:2", "tweets", "test"),
        ("So, so!", 1, "t:3", "tweets", "train"),
        ("\0 ", 1, "t:4", "tweets", "train"),
        ("Review 0 of film 0!", 0, "t:5", "tweets", "test"),
        ("Say &quot;cheese&quot;", 1, "t:6", "tweets", "test"),
    ]
    made, train, test = run(rows, tmp_path)
    texts = pd.concat([train, test])["text"]
    assert not texts.str.lower().str.startswith("so").any()
    tweets = made.sources["tweets"]
    assert (tweets.read, tweets.empty, tweets.conflicting, tweets.duplicates) == (6, 1, 3, 0)
    assert (tweets.train, tweets.test) == (0, 2)
    # The copy on the test side stays, the film's own goes.
    assert made.sources["imdb"].duplicates == 1
    assert "Review 0 of film 0!" in set(test["text"])
    assert 'Say "cheese"' in set(test["text"])
    assert made.cleaned == 2
    for counts in (made.total, *made.sources.values(), *made.domains.values()):
        rest = (counts.empty, counts.conflicting, counts.duplicates, counts.train, counts.test)
        assert counts.read == sum(rest)
    assert (made.train.texts, made.test.texts) == (len(train), len(test))
    assert (made.train.sha256, made.test.sha256) == (tables.digest(train), tables.digest(test))
    assert made.train.positive == train["label"].sum()
    assert made.test.groups == test["group"].nunique()
    assert json.loads((tmp_path / "prepared" / tables.REPORT).read_bytes())["total"]["read"] == 306


def test_tables_keep_to_the_contract(tmp_path: Path) -> None:
    """Columns and types are those of `trainer.tables`; `split` says which side it is."""
    _, train, test = run(films(), tmp_path)
    for frame, side in ((train, "train"), (test, "test")):
        assert tuple(frame.columns) == tables.COLUMNS
        assert frame["label"].dtype == np.int8
        assert set(frame["split"]) == {side}


def test_same_rows_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    """Shuffled input, another folder: every file is the same."""
    frame = table([*films(), ("ok", 1, "t", "tweets", "train"), ("Ok", 1, "u", "tweets", "train")])
    run(frame, tmp_path / "a")
    run(frame.sample(frac=1, random_state=1), tmp_path / "b")
    assert checksums(tmp_path / "a" / "prepared") == checksums(tmp_path / "b" / "prepared")
    run(frame, tmp_path / "a", seed=1)
    assert checksums(tmp_path / "a" / "prepared") != checksums(tmp_path / "b" / "prepared")


groups = st.integers(0, 30).map(lambda n: f"g{n}")


@given(
    st.lists(st.tuples(groups, st.sampled_from(["auto", "train", "test"]), st.integers(0, 1))),
    st.floats(0, 1),
    st.integers(),
)
def test_no_group_is_ever_on_both_sides(
    drawn: list[tuple[str, str, int]], share: float, seed: int
) -> None:
    """Fixed rows stay where they were put and take their group along; nothing leaks."""
    side = {group: split for group, split, _ in drawn if split != "auto"}
    rows = [
        ("t", label, group, "s", split if split == "auto" else side[group])
        for group, split, label in drawn
    ]
    frame = table(rows)
    testing = held_out(frame, share, seed)
    assert not set(frame["group"][testing]) & set(frame["group"][~testing])
    for (_, _, group, _, _), tests in zip(rows, testing, strict=True):
        assert side.get(group) in {None, "test" if tests else "train"}
    free = {row[2] for row in rows} - side.keys()
    held = set(frame["group"][testing]) & free
    assert abs(len(held) - share * len(free)) <= 0.5


def test_share_is_stratified_by_source_and_label() -> None:
    """Each source gives its share, with its own share of positive texts, to one text."""
    rows = [
        (f"{source} {n}", int(n % 10 < positive), f"{source}:{n}", source, "auto")
        for source, positive in (("films", 3), ("books", 8))
        for n in range(1000)
    ]
    frame = table(rows)
    test = frame[held_out(frame, 0.1, 0)]
    for source, positive in (("films", 30), ("books", 80)):
        labels = test[test["source"] == source]["label"]
        assert abs(len(labels) - 100) <= 1
        assert abs(labels.sum() - positive) <= 1


def test_share_is_stratified_by_size() -> None:
    """Of large groups the same share is held out as of small ones."""
    rows = [
        (f"{group} {n}", 1, f"{group}", "s", "auto")
        for group in range(1000)
        for n in range(8 if group % 4 else 1)
    ]
    frame = table(rows)
    # Chance alone would come this near once or twice in ten.
    for seed in range(10):
        sizes = frame[held_out(frame, 0.1, seed)].groupby("group").size()
        assert abs((sizes == 8).sum() - 75) <= 1
        assert abs((sizes == 1).sum() - 25) <= 1


def test_new_data_hardly_moves_the_old() -> None:
    """With a tenth more films, few of those that were tested before are learnt now."""
    before, after = table(films(1000)), table(films(1100))
    old = set(before["group"][held_out(before, 0.1, 0)])
    new = set(after["group"][held_out(after, 0.1, 0)])
    assert len(old) == 100
    assert len(new) == 110
    assert len(old - new) <= 15


def test_group_put_on_both_sides_is_told(tmp_path: Path) -> None:
    """Two sources that disagree about a group are an error that names it."""
    rows = [*films(), ("a", 1, "x", "one", "train"), ("b", 0, "x", "two", "test")]
    with pytest.raises(InputError, match="'x'") as caught:
        run(rows, tmp_path)
    assert caught.value.hint


def test_leak_is_found_whatever_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A splitter gone wrong is caught by the check on its output, and nothing is written."""
    with pytest.raises(SentimentError, match="1 of the texts are on both sides, such as 'a'"):
        check(np.array([True, False, False]), groups=["x", "y", "y"], texts=["a", "a", "b"])

    monkeypatch.setattr(stage, "held_out", lambda frame, *_: np.arange(len(frame)) % 2 == 0)
    with pytest.raises(SentimentError, match="groups are on both sides"):
        run(films(), tmp_path)
    assert not (tmp_path / "prepared").exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "has no texts"),
        ([(" ", 1, "g", "s", "auto"), ("\0", 0, "h", "s", "auto")], "none is left"),
        ([("a", 1, "g", "s", "auto"), ("A!", 0, "h", "s", "auto")], "none is left"),
        ([(f"t{n}", 1, f"g{n}", "s", "auto") for n in range(9)], "are positive; it needs both"),
        (films(1), "no text falls to the test side"),
        (films(2), "no text falls to the test side"),
        ([(*row[:4], "train") for row in films(9)], "no text falls to the test side"),
        ([(*row[:4], "test") for row in films(9)], "no text falls to the train side"),
        ([("a", 1, "g", "s", "maybe")], "columns split"),
        ([("a", 3, "g", "s", "auto")], "columns label"),
        ([("a", 1, None, "s", "auto")], "columns group"),
    ],
)
def test_unusable_texts_are_told_in_a_sentence(
    rows: list[Row], message: str, tmp_path: Path
) -> None:
    """What is wrong is said with what to do, and no file is written."""
    with pytest.raises(InputError, match=message) as caught:
        run(table(rows), tmp_path)
    assert caught.value.hint
    assert not (tmp_path / "prepared").exists()


@pytest.mark.parametrize("name", [tables.TRAIN, tables.TEST])
def test_interrupted_stage_leaves_what_was_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped while writing either table, the old ones and their report stay, and nothing else."""
    run(films(), tmp_path)
    before = checksums(tmp_path / "prepared")
    real = pd.DataFrame.to_parquet

    def stop(frame: pd.DataFrame, path: Path, *, index: bool) -> None:
        real(frame, path, index=index)
        if name in path.name:
            path.write_bytes(path.read_bytes()[:100])
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_parquet", stop)
        with pytest.raises(KeyboardInterrupt):
            preprocess(Preprocess(seed=5), tmp_path / "raw", tmp_path / "prepared")
    assert checksums(tmp_path / "prepared") == before


def test_command_reports_for_people_and_programs(tmp_path: Path) -> None:
    """One command reads params.yaml and writes the tables; `--json` prints the report."""
    made, _, _ = run(films(), tmp_path)
    (tmp_path / "params.yaml").write_text(
        "ingest: {sources: [{name: imdb, uri: x}]}\npreprocess: {test_share: 0.2}\n"
        "candidates: {baseline: {kind: 'a:B'}}\nrelease: baseline\n"
    )
    arguments = [
        *("--params", str(tmp_path / "params.yaml"), "--raw", str(tmp_path / "raw")),
        *("--output", str(tmp_path / "again")),
    ]
    printed = CliRunner().invoke(command, [*arguments, "--json"])
    assert printed.exit_code == 0, printed.output
    assert json.loads(printed.stdout)["test"]["sha256"] == made.test.sha256
    assert "Cleaning 300 texts" in printed.stderr
    shown = CliRunner().invoke(command, arguments)
    assert shown.stdout.splitlines()[-1].split() == ["total", "300", "0", "0", "0", "240", "60"]
    missing = CliRunner().invoke(command, ["--params", str(tmp_path / "none.yaml")])
    assert isinstance(missing.exception, InputError)


def test_missing_raw_table_names_the_stage_before(tmp_path: Path) -> None:
    """Without ingest's table, the hint names ingest."""
    with pytest.raises(InputError) as caught:
        preprocess(Preprocess(), tmp_path, tmp_path / "prepared")
    assert "sentiment ingest" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fine.", "Fine."),
        ("\ufeffA\tgood\r\n\n film \0 here\u00a0\x96 yes ", "A good film here yes"),
        ("&quot;It&#39;s&#x20;fine&quot; &amp; Co", '"It\'s fine" & Co'),
        ("AT&T, R&B; &nosuch; &copy", "AT&T, R&B; &nosuch; &copy"),
        ("<br />SOOO good!!! 👍🏽 :)", "<br />SOOO good!!! 👍🏽 :)"),
        ("caf\u00e9 cafe\u0301 \uff41", "caf\u00e9 cafe\u0301 \uff41"),
        ("\0 \n\ufeff", ""),
    ],
)
def test_cleaning_takes_out_damage_and_nothing_else(text: str, expected: str) -> None:
    """Each rule on an example; case, tags, emoji and Unicode forms stay as a worker gets them."""
    assert clean(text) == expected


# Entities and half-written tags change meaning on purpose; an apostrophe after a doubled space is
# joined to its word once the space is single.
plain = st.characters(exclude_characters="&<" + APOSTROPHES)


@given(st.text(plain | st.sampled_from(" \t\n\0\ufeff\x85\u2003")))
def test_cleaning_changes_no_token(text: str) -> None:
    """A worker, which doesn't clean, sees the same tokens as training did."""
    assert tokens(clean(text)) == tokens(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Good, film!", "good film", True),
        ("STRASSE", "straße", True),
        ("good film", "good films", False),
        (":)", ":(", False),
        ("👍", "👎", False),
    ],
)
def test_copies_share_their_word_characters(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    """Copies differ in case, spaces and punctuation; what has no word is only a copy of itself."""
    assert (essence(one) == essence(other)) == same


def test_one_of_several_copies_stays() -> None:
    """The test side's before the train side's before one that is free; of two alike, the first.

    Where labels differ there is none that could stay.
    """
    rows = "auto a 0, train a 0, test a 0, test a 0, auto b 1, train b 1, auto c 0, auto c 0"
    splits, texts, labels = zip(
        *map(str.split, f"{rows}, test d 0, auto d 1".split(",")), strict=True
    )
    conflicting, superfluous = copies(list(texts), np.array(labels, np.int8), pd.Series(splits))
    assert np.flatnonzero(conflicting).tolist() == [8, 9]
    assert np.flatnonzero(superfluous).tolist() == [0, 1, 3, 4, 7]
