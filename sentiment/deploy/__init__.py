"""What the deployment's files must have in common with the code, written from the code.

- `grants`: the rights of each part, as brokers with ACLs know them
- `strimzi`: a KafkaUser for each part
- `msk`: an IAM policy for each part on Amazon MSK, and the ACLs of what has no IAM
- `chart`: the table of the chart's values, and the names of settings that its schema allows

`python -m sentiment.deploy` writes them, `--check` fails when they are stale.
"""
