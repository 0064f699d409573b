"""What every app shares: the wire, Kafka, the model, the registry, settings, errors, metrics.

This package imports no app. Apps import it and never each other; `make lint` holds both.

- `client`: the public face for applications
- `wire`: what each topic's records hold, and what is wrong with those that hold it not
- `settings`: typed settings, and the sections that apps share
- `errors`: the tree of errors, each with a hint
- `classify`: decode, score, decide, assemble: what worker, replay and command run
- `model`: text rules, n-grams, estimators; a linear model as native code
- `registry`: from MLflow's alias to a model that is checked and compiled
- `kafka`: clients, topics, readers, transactions, rights
- `dead_letters`: read, select, show, redrive
- `rows`: one reader of CSV, TSV, JSON, JSON Lines and Parquet
- `feedback`: people's labels, read from their topic
- `times`: timestamps, ages, time options
- `metrics`: tables of metrics, and the library's own
- `logs`: structured lines
- `tracing`: traces, where an endpoint is given
- `spans`: the spans themselves, with OpenTelemetry
- `health`: /livez, /readyz and /metrics of a process
- `healthcheck`: asks for them from inside a container
- `interrupts`: signals, and an end that comes in time
- `limited`: child processes with limits of memory and time
- `bounded_http`: answers of a registry, bounded in size and time
- `apps`: what apps register: commands, settings, metrics, rights, topics
- `cli`: the command `sentiment`, its errors and progress
- `commands`: the subcommands of no app
- `ngrams`: a name in saved models
"""
