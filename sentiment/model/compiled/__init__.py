"""Linear models over word n-grams as a hash table and one native loop over UTF-8 bytes.

- `linear`: reads a fitted scikit-learn pipeline
- `build`: lays it out
- `table`: what is laid out, and its file
- `characters`: every code point as the rules of `sentiment.model.text` see it
- `words`: cuts and hashes words
- `tokenise`: from bytes to tokens
- `lookup`: from tokens to n-grams
- `loop`: from bytes to log-odds
- `explain`: from bytes to explanations in JSON
- `scorer`: what the rest of the project calls
- `native`: native code, made ahead of time or as it is needed
- `jit`: makes it as it is needed, with Numba
- `aot`: makes it ahead of time, for an image
- `state`: which code a file was made by
"""
