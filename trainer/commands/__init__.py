"""The trainer's subcommands.

- `stages`: ingest, preprocess, train, evaluate, release
- `models`: register, promote, rollback, models
- `feedback`: people's labels as training texts
"""
