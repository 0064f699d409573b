"""The classifying worker: consume, classify, publish, in one Kafka transaction per batch.

- `batch`: one batch of records in, records to publish out; knows nothing of brokers
- `dead_letters`: what a dead letter carries, and when there are too many of them
- `tallies`: counts per input partition, for the trends
- `intake`: the consumer: assignment, batches, rewinding, events that expired
- `monitor`: what the brokers say beside the loop: lag, transactions that hang, topics made anew
- `champion`: keeps the served model up to date beside the running loop
- `dlq`: operators' commands for dead letters
- `replay`: classifies a time range again, beside the live group
- `worker`: the loop that ties these together
"""
