"""Kafka: clients, topics, readers, transactions and access rights.

- `clients`: consumers, producers and admins; whether the brokers let us in
- `producer`: sends events
- `topics`: which topics there should be, and whether they are
- `reader`: reading a topic without a group, once or for as long as a process runs
- `lag`: how far a group is behind
- `unreadable`: batches that no client can read
- `transactions`: outputs and offsets in one transaction, whatever fails
- `rights`: what each part must be allowed
"""
