"""Classify a time range of the events topic again, into a topic of its own.

Nothing here joins a group. The replay assigns itself one partition after the other and keeps its
place, together with what it was asked for, as committed offsets of a group that nobody else has;
they commit in one transaction with the results, so that the same command goes on where it was.

- `plan`: what is asked for, kept as committed offsets
- `run`: the plan and its topic made or found again, then one partition after the other
- `compare`: how two models' answers to the same events differ
- `command`: `sentiment replay`, and what it reports
"""
