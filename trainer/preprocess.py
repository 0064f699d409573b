"""The stage between raw texts and training: cleaned, each text once, and split without a leak."""

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from sentiment.errors import InputError
from trainer import report, tables, writing
from trainer.cleaning import clean, copies, essence
from trainer.layout import PREPARED, RAW, REPORT, TEST, TEXTS, TRAIN
from trainer.params import Preprocess
from trainer.progress import Say, silent, ticking
from trainer.splitting import check, held_out


class Counts(msgspec.Struct, frozen=True):
    """What became of some texts: all that were read are in one of the others."""

    read: int
    # Nothing was left of them.
    empty: int
    # Copies of each other with different labels; all were dropped.
    conflicting: int
    # Copies of a text that was kept.
    duplicates: int
    train: int
    test: int


class Side(msgspec.Struct, frozen=True):
    """One of the two tables."""

    texts: int
    positive: int
    groups: int
    # `trainer.tables.digest`.
    sha256: str


class PreprocessReport(msgspec.Struct, frozen=True):
    """What the stage did."""

    total: Counts
    sources: dict[str, Counts]
    domains: dict[str, Counts]
    # Texts that cleaning changed.
    cleaned: int
    train: Side
    test: Side


def preprocess(
    params: Preprocess, raw: Path = RAW, output: Path = PREPARED, say: Say = silent
) -> PreprocessReport:
    """Clean, drop copies, split, and write `train.parquet`, `test.parquet` and `report.json`.

    The same rows in any order give the same files. Where the report stands, both tables are whole
    and those that it describes.

    Args:
        params: The share of the test side and the seed.
        raw: The folder with the table that ingest made.
        output: The folder for the result.
        say: Told of progress.

    Raises:
        InputError: The table is missing or no such table, or what is left of it doesn't make two
            sides with both labels.
    """
    frame = _read(raw / TEXTS)
    say(f"Cleaning {len(frame):,} texts …")
    texts = [clean(text) for text in ticking(frame["text"], say, "texts cleaned")]
    cleaned = int((frame["text"].to_numpy(object) != np.array(texts, object)).sum())
    # The order of files in a folder, or of rows in a file, must not decide what a model learns.
    frame = frame.assign(text=texts).sort_values(
        ["source", "group", "text", "label", "domain", "split"], ignore_index=True
    )
    say("Looking for copies …")
    empty = frame["text"].to_numpy(object) == ""
    essences = [essence(text) for text in frame["text"]]
    conflicting, superfluous = copies(essences, frame["label"].to_numpy(), frame["split"])
    fate = np.select([empty, conflicting, superfluous], ["empty", "conflicting", "duplicates"], "")
    kept = frame[fate == ""]
    if kept.empty:
        raise InputError(
            f"Of the {len(frame):,} texts in {raw / TEXTS} none is left after cleaning.",
            "Look at the file, and at the sources in params.yaml.",
        )
    say(f"Splitting {len(kept):,} texts …")
    testing = held_out(kept, params.test_share, params.seed)
    check(testing, groups=kept["group"], texts=[essences[row] for row in kept.index])
    fate[kept.index] = np.where(testing, "test", "train")
    made = _report(frame.assign(fate=fate), cleaned)
    _check_sides(made, params.test_share)
    say(f"Writing {output} …")
    with writing.files(output, TRAIN, TEST, REPORT) as work:
        tables.write(frame[fate == "train"].assign(split="train"), work / TRAIN)
        tables.write(frame[fate == "test"].assign(split="test"), work / TEST)
        report.write(made, work / REPORT)
    return made


def _read(path: Path) -> pd.DataFrame:
    frame = tables.read(path, "ingest")[list(tables.COLUMNS)]
    wrong = [
        *frame.columns[frame.isna().any()],
        *(() if frame["label"].isin([0, 1]).all() else ("label",)),
        *(() if frame["split"].isin(["train", "test", "auto"]).all() else ("split",)),
    ]
    if wrong:
        raise InputError(
            f"{path} has empty or unknown values in the columns {', '.join(dict.fromkeys(wrong))}.",
            "`sentiment ingest` makes it anew.",
        )
    if frame.empty:
        raise InputError(f"{path} has no texts.", "Look at the sources in params.yaml.")
    return frame


def _report(frame: pd.DataFrame, cleaned: int) -> PreprocessReport:
    def counts(rows: pd.DataFrame) -> Counts:
        fates = {str(fate): int(count) for fate, count in rows["fate"].value_counts().items()}
        names = (name for name in Counts.__struct_fields__ if name != "read")
        return Counts(len(rows), **{name: fates.get(name, 0) for name in names})

    def side(name: str) -> Side:
        rows = frame[frame["fate"] == name]
        positive, groups = int(rows["label"].sum()), rows["group"].nunique()
        return Side(len(rows), positive, groups, tables.digest(rows))

    return PreprocessReport(
        total=counts(frame),
        sources={str(name): counts(rows) for name, rows in frame.groupby("source")},
        domains={str(name): counts(rows) for name, rows in frame.groupby("domain")},
        cleaned=cleaned,
        train=side("train"),
        test=side("test"),
    )


def _check_sides(made: PreprocessReport, share: float) -> None:
    for name, side in (("train", made.train), ("test", made.test)):
        if not side.texts:
            groups = made.train.groups + made.test.groups
            raise InputError(
                f"Of {groups:,} groups and a test_share of {share:g}, no text falls to the"
                f" {name} side.",
                "Give more data, another test_share, or a source with"
                f" `split: {name}` in params.yaml.",
            )
        if side.positive in {0, side.texts}:
            label = "positive" if side.positive else "negative"
            raise InputError(
                f"All {side.texts:,} texts of the {name} side, of {side.groups:,} groups, are"
                f" {label}; it needs both labels.",
                "Give more data, another test_share or seed, or look at the sources' `labels`"
                " in params.yaml.",
            )
