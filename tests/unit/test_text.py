import pytest
from hypothesis import given, strategies as st

from sentiment.model.text import NEGATED, NEGATORS, SCOPE, normalise, tokens


@given(st.text())
def test_any_text_has_tokens_without_spaces(text: str) -> None:
    """Any text at all, lone surrogates too, gives the same non-empty tokens each time."""
    found = tokens(text)
    assert found == tokens(text)
    assert all(token and not any(map(str.isspace, token)) for token in found)


@given(st.text())
def test_normalising_again_changes_no_token(text: str) -> None:
    """Text that went through once already is tokenised as before."""
    assert tokens(normalise(text)) == tokens(text)


@given(st.text(alphabet="abn't !?.,\u2019`<br/>ANOT~", max_size=40))
def test_marks_only_words_after_a_negator(text: str) -> None:
    """A marked word has a negator at most `SCOPE` words before it, and nothing else between."""
    found = tokens(text)
    for index, token in enumerate(found):
        if token.startswith(NEGATED):
            before = found[max(0, index - SCOPE) : index]
            reach = next(i for i, other in enumerate(reversed(before)) if other in NEGATORS)
            assert all(other.startswith(NEGATED) for other in before[len(before) - reach :])
            assert token.removeprefix(NEGATED) not in NEGATORS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good", ["good"]),
        ("It's GREAT!!", ["it's", "great", "!!"]),
        ("It\u2019s great", ["it's", "great"]),
        ("a<br />b<BR>c", ["a", "b", "c"]),
        (
            'He said: "wow" (twice); 5/5*',
            [*["he", "said", ":", '"', "wow", '"', "(", "twice", ")", ";", "5", "5", "*"]],
        ),
        ("it is n't bad", ["it", "isn't", "~bad"]),
        ("it 's fine , they 'll see", ["it's", "fine", ",", "they'll", "see"]),
        ("not a very good film", ["not", "~a", "~very", "~good", "film"]),
        ("dont like it at all", ["dont", "~like", "~it", "~at", "all"]),
        ("no, it is good", ["no", ",", "it", "is", "good"]),
        ("not 👍 good", ["not", "👍", "good"]),
        ("not @me <br> good", ["not", "~good"]),
        ("never not good at it", ["never", "not", "~good", "~at", "~it"]),
        ("sooo cooool 1000", ["soo", "cool", "1000"]),
        ("What?!?! Wow! So!!! Eh??", ["what", "?!", "wow", "!", "so", "!!", "eh", "??"]),
        ("@you're good, a@b.c", ["good", ",", "a", ".", "c"]),
        ("fine :) bad :(", ["fine", ":", ")", "bad", ":", "("]),
        ("👍👍🏽 ☹", ["👍", "👍", "☹"]),
        ("", []),
        (" \0 ~ ", []),
    ],
)
def test_rules(text: str, expected: list[str]) -> None:
    """Each rule of normalising, tokenising and negation, on an example of its own."""
    assert tokens(text) == expected
