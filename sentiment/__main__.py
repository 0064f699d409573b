"""`python -m sentiment`: the same as the `sentiment` command."""

from sentiment.cli import main

main()
