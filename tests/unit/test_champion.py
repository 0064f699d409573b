"""Claims about what the champion learns from, on a few made texts."""

import numpy as np
import pandas as pd
import pytest

from sentiment.model.compiled.linear import read
from trainer.champion import Champion, lexicon, negated
from trainer.reports import silent

# Sentences of a made-up word; the rest is there so that each class has other words too.
LONG = "The blimp flies over a town at noon. The blimp lands near a lake at dusk. So there."


def table(*rows: tuple[str, int, str]) -> pd.DataFrame:
    """Texts with labels and domains."""
    return pd.DataFrame(rows, columns=["text", "label", "domain"])


def knows(candidate: Champion, frame: pd.DataFrame) -> set[str]:
    """The n-grams that are in its vocabulary."""
    return set(candidate.fit(frame, silent)[0].get_feature_names_out())


def scores(candidate: Champion, frame: pd.DataFrame, *texts: str) -> list[float]:
    """P(positive) of each text."""
    found: list[float] = candidate.fit(frame, silent).predict_proba(texts)[:, 1].tolist()
    return found


@pytest.mark.parametrize(("loud", "positive"), [("a", True), ("b", False)])
def test_weights_of_domains_reach_the_fit(loud: str, *, positive: bool) -> None:
    """A word that one domain praises and another blames means what the weightier one says."""
    frame = table(
        *[("odd one", 1, "a"), ("odd one", 0, "b"), ("fine", 1, "a"), ("poor", 0, "b")] * 5
    )
    quiet = "b" if loud == "a" else "a"
    candidate = Champion(min_df=(1, 1, 1), weights={loud: 5.0, quiet: 0.2})
    assert (scores(candidate, frame, "odd one")[0] > 0.5) == positive
    assert scores(Champion(min_df=(1, 1, 1)), frame, "odd one") == pytest.approx([0.5], abs=0.01)


def test_sentences_are_no_texts_of_their_own() -> None:
    """What stands in one text only is as rare as it is, in however many of its sentences."""
    frame = table((LONG, 1, "imdb"), ("a good day", 1, "x"), ("a bad day", 0, "x"), ("bad", 0, "x"))
    candidate = Champion(min_df=(2, 2, 2), sentences_of=["imdb"], sentence_weight=1.0)
    known = knows(candidate, frame)
    assert "blimp" not in known
    assert {"a", "bad", "day"} <= known


def test_sentences_of_ordinary_length_are_learnt() -> None:
    """Of the domains named alone; neither a crumb nor a text without full stops."""
    endless = "no end " * 30
    frame = table(
        (LONG, 1, "imdb"), (LONG.replace("blimp", "train"), 0, "other"), (endless, 0, "imdb")
    )  # fmt: skip
    told: list[str] = []
    Champion(min_df=(1, 1, 1), sentences_of=["imdb"], sentence_weight=0.5).fit(frame, told.append)
    # Three texts, and two sentences of the first.
    assert told == ["Fitting on 5 texts, sentences and words …"]
    Champion(min_df=(1, 1, 1), sentences_of=["imdb"]).fit(frame, told.append)
    assert told[1] == "Fitting on 3 texts, sentences and words …"


def test_words_of_the_lexicon_are_learnt_plain_and_denied() -> None:
    """A word that no text has is known by the lexicon, and turns round where it is denied."""
    frame = table(("a good day", 1, "x"), ("a bad day", 0, "x"))
    plain = Champion(min_df=(1, 1, 1))
    assert "abhorrent" not in knows(plain, frame)
    taught = Champion(min_df=(1, 1, 1), lexicon_weight=1.0, negation_weight=1.0)
    texts = ("abhorrent", "not abhorrent", "excellent", "it isn't excellent")
    bad, not_bad, good, not_good = scores(taught, frame, *texts)
    assert max(bad, not_good) < 0.2
    assert min(good, not_bad) > 0.8


def test_lexicon_has_plain_words_by_their_strength() -> None:
    """No emoticons, no words that readers hardly agreed on; a weight is half of the rating."""
    words = lexicon().set_index("text")
    assert {"good", "awful"} <= set(words.index)
    assert not {":)", "lol)", "x-d"} & set(words.index)
    assert words["weight"].between(0.25, 2).all()
    assert words.loc["good"].to_dict() == {"label": 1, "weight": 1.9 / 2}
    assert words.loc["awful"].to_dict() == {"label": 0, "weight": 2.0 / 2}


def test_denied_words_have_the_other_label() -> None:
    """Each word stands in a few denials, as strong as the word itself."""
    texts = negated(pd.DataFrame({"text": ["good"], "label": [1], "weight": [0.9]}))
    assert {"not good", "isn't good"} <= set(texts["text"])
    assert texts["text"].str.contains("good").all()
    assert (texts["label"] == 0).all()
    assert np.allclose(texts["weight"], 0.9)


def test_can_be_compiled_and_tells_what_it_is() -> None:
    """A worker compiles what it makes; its words for the card name their sources."""
    frame = table(("a good day", 1, "x"), ("a bad day", 0, "x"))
    candidate = Champion(min_df=(1, 1, 1), lexicon_weight=0.5)
    read(candidate.fit(frame, silent))
    told = candidate.describe()
    for source in ("Wang", "Daumé", "Hutto", "Maas"):
        assert source in told
    assert "$" not in told
