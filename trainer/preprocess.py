"""The stage between raw texts and training: cleaned, each text once, and split without a leak."""

import hashlib
import html
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sentiment.errors import InputError, SentimentError
from trainer import reports, tables
from trainer.params import Preprocess
from trainer.reports import Say, silent, ticking


class Counts(msgspec.Struct, frozen=True):
    """What became of some texts: all that were read are in one of the others.

    Of the empty ones cleaning left nothing; conflicting ones are copies of each other with
    different labels, all of which were dropped; duplicates are copies of a text that was kept.
    """

    read: int
    empty: int
    conflicting: int
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
    params: Preprocess, raw: Path = tables.RAW, output: Path = tables.PREPARED, say: Say = silent
) -> PreprocessReport:
    """Clean, drop copies, split, and write `train.parquet`, `test.parquet` and `report.json`.

    The same rows in any order give the same files. Where the report stands, both tables are whole
    and those that it describes.

    Raises:
        InputError: The table is missing or no such table, or what is left of it doesn't make two
            sides with both labels.
    """
    frame = _read(raw / tables.TEXTS)
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
            f"Of the {len(frame):,} texts in {raw / tables.TEXTS} none is left after cleaning.",
            "Look at the file, and at the sources in params.yaml.",
        )
    say(f"Splitting {len(kept):,} texts …")
    testing = held_out(kept, params.test_share, params.seed)
    check(testing, groups=kept["group"], texts=[essences[row] for row in kept.index])
    fate[kept.index] = np.where(testing, "test", "train")
    made = _report(frame.assign(fate=fate), cleaned)
    _check_sides(made, params.test_share)
    say(f"Writing {output} …")
    with tables.files(output, tables.TRAIN, tables.TEST, tables.REPORT) as work:
        tables.write(frame[fate == "train"].assign(split="train"), work / tables.TRAIN)
        tables.write(frame[fate == "test"].assign(split="test"), work / tables.TEST)
        reports.write(made, work / tables.REPORT)
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
        fates = Counter(rows["fate"])
        return Counts(len(rows), *(fates[name] for name in Counts.__struct_fields__[1:]))

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


# Cleaning of labelled texts, and which of them are the same. A worker is given texts as people
# wrote them, so a training text has to stay one of those. Taken out is only what a copy, a scraper
# or an old code page did to a text, and what no token is made of.


# `&quot;` and `&#39;` are what a scraper forgot to undo: the model would learn words like "quot"
# and "39" that tell where a text came from. Only with the semicolon, and once: "R&B" is a name.
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

# Control characters (NUL; U+0080 to U+009F, left by a wrong code page; U+FEFF, the byte-order mark)
# and white space of every kind. Our tokeniser starts a new word at each of them just as at a space,
# so a text with and without them gives the same tokens, and none of this differs in service.
_BLANK = r"\s\x00-\x1f\x7f-\x9f\ufeff"
# All blanks but a lone space, which most are: substituting those would take five times as long.
_UNEVEN = re.compile(rf"[{_BLANK}]{{2,}}|(?! )[{_BLANK}]")

_NO_WORD = re.compile(r"\W+")

# Of copies of a text the one is kept that its source put on a side, the test side before all.
_PRECEDENCE = {"test": 0, "train": 1, "auto": 2}


def clean(text: str) -> str:
    """A text without the damage of its way to us; empty when nothing else was there."""
    if "&" in text:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return _UNEVEN.sub(" ", text).strip(" ")


def essence(text: str) -> str:
    """What two copies of a text share: its word characters, case-folded.

    A text without any, such as ":)" or an emoji, is only ever a copy of itself.
    """
    folded = text.casefold()
    return _NO_WORD.sub("", folded) or folded


def copies(
    essences: list[str], labels: NDArray[np.int8], splits: pd.Series
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Find texts that occur more than once, given the `essence` of each.

    Returns:
        Which texts have a copy with another label, so that nobody knows what they are; and which of
        the others are superfluous copies. A copy from a `test` source stays before one from a
        `train` source, so that no text of the test side is learnt; else the first. Both of shape
        (texts,).
    """
    texts, _ = pd.factorize(np.array(essences, object))
    seen = np.zeros((texts.max(initial=-1) + 1, 2), bool)
    seen[texts, labels] = True
    conflicting = (seen[:, 0] & seen[:, 1])[texts]

    order = np.argsort(splits.map(_PRECEDENCE).to_numpy(), kind="stable")
    _, first = np.unique(texts[order], return_index=True)
    superfluous = np.ones(len(texts), bool)
    superfluous[order[first]] = False
    return conflicting, superfluous & ~conflicting


# Which texts train and which test: by group, never leaking from one side to the other. A group's
# place in a fixed order, its hash with the seed, decides: new data hardly moves the old. Of
# scikit-learn's splitters, `GroupShuffleSplit` deals all groups anew when one is added, so the next
# model would be tested on films that the champion has learnt, and `StratifiedGroupKFold` knows no
# other shares than 1/k and takes minutes for a quarter of a million groups.


# Enough names in a message to find the mistake by.
_SHOWN = 3


def held_out(frame: pd.DataFrame, test_share: float, seed: int) -> NDArray[np.bool_]:
    """Decide which rows test.

    Rows whose `split` is `train` or `test` stay there, and take all rows of their groups along. Of
    the other groups a share is held out, from each source, and evenly from groups of much the same
    numbers of positive and negative texts: the stratification that whole groups allow.

    Returns:
        True where a row is on the test side; shape (texts,).

    Raises:
        InputError: A group was put on both sides.
    """
    groups, split = frame["group"], frame["split"]
    testing, training = (set(groups[split == side]) for side in ("test", "train"))
    if both := sorted(testing & training):
        raise InputError(
            f"{len(both):,} groups are in a source with split 'train' and in one with split"
            f" 'test', such as {', '.join(map(repr, both[:_SHOWN]))}.",
            "Give the sources the same split, or another `group` column.",
        )
    free = frame[~groups.isin(testing | training)]
    testing.update(_choose(free, test_share, seed))
    return groups.isin(testing).to_numpy(bool)


def check(testing: NDArray[np.bool_], **alike: Sequence[str]) -> None:
    """Make sure that no two rows on different sides share what must be `alike` on one of them.

    Raises:
        SentimentError: They do, whatever the code above came to.
    """
    for what, names in alike.items():
        listed = np.asarray(names, object)
        if both := sorted(set(listed[testing]) & set(listed[~testing])):
            raise SentimentError(
                f"The split leaks: {len(both):,} of the {what} are on both sides, such as"
                f" {', '.join(map(repr, both[:_SHOWN]))}. Nothing was written.",
                "This is a mistake in trainer/preprocess.py; please report it.",
            )


def _choose(frame: pd.DataFrame, share: float, seed: int) -> list[str]:
    groups = frame.groupby("group", sort=True).agg(
        source=("source", "first"), texts=("label", "size"), positive=("label", "sum")
    )
    names = groups.index.to_numpy()
    hashes = [
        int.from_bytes(hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest())
        for name in names
    ]
    # Alike within a power of two: finer strata of films would hold one film each.
    negative, positive = (
        np.frexp(counts.to_numpy(np.float64))[1]
        for counts in (groups["texts"] - groups["positive"], groups["positive"])
    )
    stratum = [groups["source"].to_numpy(), negative, positive]
    order = np.lexsort((np.array(hashes, np.uint64), *reversed(stratum)))
    table = pd.DataFrame({number: column[order] for number, column in enumerate(stratum)})
    sizes = table.groupby([0, 1, 2], sort=True).size().to_numpy()
    # Rounded as a running sum: the whole is right by half a group, however small the strata.
    ends = np.floor(np.cumsum(sizes) * share + 0.5)
    wanted = np.repeat(np.diff(ends, prepend=0), sizes)
    place = np.arange(len(names)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    held: list[str] = names[order][place < wanted].tolist()
    return held
