"""Texts for property tests: everything that Unicode has, and what our rules are about."""

from hypothesis import strategies as st

# Each kind of character and each rule, with neighbours that make them interesting.
_WORDS = (
    "good bad film not never isn aaa sooo 0 1000 10/10 wonderful wonderfully' abcdefgh abcdefghi"
)
_LONG = ("abcdefghijklmnop", "abcdefghijklmnopq")
_CONTRACTED = (
    *(
        "don't",
        "DON\u2019T",
        "n't",
        " n't",
        " N\u2019T",
        " 's",
        " 're",
        " 'll",
        " 'LL",
        "'s",
        " 'x",
    ),
    *("'", "\u2019", "`", "\u00b4"),
)
_MARKS = (
    *("!", "?", "!?!", "...", ",", ":)", ";", '"', "*", "#", "-", "_", "@", "@bob", "@do n't"),
    *("<br>", "<BR />", "<br\n/>", "<b", "<"),
)
_SPACES = (" ", "  ", "\n", "\t", "\u00a0", "\u2028", "\0", "\x85")
# Pictographs, letters whose case is peculiar, digits, marks, halves of pairs.
_UNICODE = (
    *("\U0001f600", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\u0130", "\u03a3", "\u1e9e", "\u00c9"),
    *("e\u0301", "\u0660", "\u2776", "\ud800", "\udfff", "\u212a", "\ufb03", "\u01c5", "\u2260"),
    "\U000e0041",
)
PIECES = (*_WORDS.split(), *_LONG, *_CONTRACTED, *_MARKS, *_SPACES, *_UNICODE)

ANY_CHARACTER = st.characters(categories=None, exclude_categories=())
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.lists(st.one_of(st.sampled_from(PIECES), ANY_CHARACTER), max_size=20).map("".join),
    st.text(ANY_CHARACTER, max_size=30),
)
