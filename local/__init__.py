"""Everything on one machine: a real Apache Kafka without Docker, and the demo.

Apps are started as processes, never imported.

- `jars`: Kafka's files, fetched once and checked
- `process`: processes, ports, folders and signals
- `broker`: one broker, or a few
- `demo`: every part, with traffic
- `commands`: `sentiment kafka` and `sentiment demo`
"""
