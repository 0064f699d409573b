"""Linear models over word n-grams as a hash table and one native loop over UTF-8 bytes.

- `linear`: reads a fitted scikit-learn pipeline
- `build`: lays it out as a `table`
- `characters`, `words`, `tokenise`: from bytes to tokens, by the rules of `sentiment.text`
- `lookup`: from tokens to n-grams
- `loop`: from bytes to log-odds
- `explain`, `writing`: from bytes to explanations in JSON; `explainer`: calls them
- `room`: texts as bytes, and scratch
- `scorer`: what the rest of the project calls
- `kept`: compiled models on disk
- `native`: native code, made by `jit` as it is needed or by `aot` before
- `state`: which code a file was made by

Nothing but `linear` and `build` imports scikit-learn, so that a worker starts without it.
"""
