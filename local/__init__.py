"""Everything on one machine: a real Apache Kafka without Docker, and the demo.

Apps are started as processes, never imported.

- `jars`: Kafka's files, fetched once and checked
- `process`: processes, ports, folders and signals
- `broker`: one broker, or a few
- `demo`: every part, with traffic
- `settings`: folders
- `commands`: `sentiment kafka` and `sentiment demo`
"""

from sentiment.apps import App

APP = App(
    commands={"demo": "local.commands:demo", "kafka": "local.commands:kafka"},
    settings=("local.settings:LocalSettings",),
)
