"""`sentiment demo`: every part on this machine, with traffic, and a ledger that checks it.

- `parts`: Kafka, registry, worker and page, started in the order in which they need each other
- `traffic`: sample events at a rate
- `ledger`: what was sent and what came back: latency, doubles, what is missing
- `run`: ties these together, on a terminal
"""
