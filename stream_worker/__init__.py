"""The classifying worker: consume, classify, publish, in one Kafka transaction per batch.

- `worker`: the loop
- `intake`: the consumer: assignment, batches, rewinding, events that expired
- `served_models`: keeps champion and challenger up to date beside the running loop
- `drift`: whether texts and scores look as they did when the model was made
- `traces`: a span for each event, where traces are wanted
- `monitor`: what the brokers say beside the loop: lag, transactions that hang, topics made anew
- `process`: the process around the loop, and its watchdog
- `command`: `sentiment worker`
- `replay`: classifies a time range again, beside the live group
- `trends`: windowed aggregates of what the workers did
"""
