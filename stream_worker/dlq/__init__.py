"""Operators' commands for dead letters: `sentiment dlq list`, `show` and `redrive`.

What they do is in `sentiment.dlq`, which the operators' page uses too.

- `mending`: a command of the operator's that changes a value
- `options`: what the commands have in common
- `showing`: dead letters for people and for programs
"""
