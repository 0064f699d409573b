"""The classifying worker: consume, classify, publish, in one Kafka transaction per batch.

- `worker`: the loop, from a poll to a commit
- `intake`: the consumer: assignment, batches, rewinding, events that expired
- `served_models`: champion and challenger, kept up to date beside the running loop
- `drift`: whether texts and scores look as they did when the model was made
- `traces`: a span for each event, where traces are wanted
- `command`: `sentiment worker`: the process around the loop, with probes, signals and a watchdog
- `replay`: classifies a time range again, beside the live group
- `trends`: windowed aggregates of what the workers did
"""
