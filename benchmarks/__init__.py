"""Ours, the limit that Kafka sets, and the peers, measured side by side in one run.

Speed is told in ratios between candidates that read the same topic on the same machine one after
the other: events a second by themselves say more about the machine than about the code.
"""
