"""Kafka: clients, topics, readers, transactions and access rights.

What asks the brokers raises a `BrokerError` where they don't answer in time or refuse us, and a
`TopicError` where a topic doesn't exist or can't be made; a docstring says what it raises beside.

- `clients`: consumers, producers and admins; whether the brokers let us in
- `producer`: sends events
- `topics`: which topics there should be, and whether they are
- `reader`: reading a topic without a group, once or for as long as a process runs
- `lag`: how far a group is behind
- `unreadable`: batches that no client can read
- `retries`: how long an operation may take, and when a call is made again
- `transactions`: outputs and offsets in one transaction, whatever fails
- `monitor`: what the brokers say beside a worker's loop: lag, transactions that hang, topics made
  anew
- `rights`: what each part must be allowed
"""
