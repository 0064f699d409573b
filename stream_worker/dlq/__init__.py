"""Operators' commands for dead letters: `sentiment dlq list`, `show` and `redrive`.

- `letters`: a dead letter, read from its record
- `selection`: which of them a command is about
- `marks`: which of them have been redriven
- `scan`: one pass over those that stand on the topic now
- `mending`: a command of the operator's that changes a value
- `sending`: dead letters back onto the events topic, each batch in one transaction with its marks
- `redriving`: one run of `sentiment dlq redrive`
- `options`: what the commands have in common
- `showing`: dead letters for people and for programs
"""
