"""The subcommands of `sentiment` that belong to no app.

- `classify`: files in, JSON Lines out, without Kafka
- `results`: the results topic on a terminal, and `sentiment topics`
"""
