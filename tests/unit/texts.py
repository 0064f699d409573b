"""Texts for property tests: everything that Unicode has, and what our rules are about."""

from hypothesis import strategies as st

# Each kind of character and each rule, with neighbours that make them interesting.
PIECES = (
    *("good", "bad", "film", "not", "never", "don't", "DON\u2019T", "isn", "n't", " n't", " N\u2019T"),
    *(" 's", " 're", " 'll", " 'LL", "'s", " 'x", "'", "\u2019", "`", "\u00b4", " ", "  ", "\n", "\t"),
    *("\u00a0", "\u2028", "!", "?", "!?!", "...", ",", ":)", ";", '"', "*", "<br>", "<BR />", "<br\n/>"),
    *("<b", "<", "@", "@bob", "@do n't", "#", "-", "_", "0", "1000", "10/10", "sooo", "\U0001f600"),
    *("\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\u0130", "\u03a3", "\u1e9e", "\u00c9", "e\u0301", "\u0660"),
    *("\ud800", "\udfff", "\0", "\x85", "\u212a", "\ufb03", "\u01c5", "\u2260", "\U000e0041", "aaa"),
    *("wonderful", "wonderfully'", "abcdefgh", "abcdefghi", "abcdefghijklmnop", "abcdefghijklmnopq"),
)  # fmt: skip

SURROGATES_TOO = st.characters(categories=None, exclude_categories=())
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.lists(st.one_of(st.sampled_from(PIECES), SURROGATES_TOO), max_size=20).map("".join),
    st.text(SURROGATES_TOO, max_size=30),
)
