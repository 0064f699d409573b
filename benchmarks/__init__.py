"""Ours, the limit that Kafka sets, and the peers, measured side by side in one run.

Speed is told in ratios between candidates that read the same topic on the same machine one after
the other: events a second by themselves say more about the machine than about the code.

- `bench`: the place of a run, and how candidates are measured from outside
- `candidates`: ours and the peers, each in an environment of its own
- `peers`: the same job in other stream processors
- `copy_loop`: the limit: bytes from topic to topic
- `events`: what they read
- `measurements`: rates, latency, memory and the rest, one after the other
- `report`: what must be reached, and figures for people and documents
- `scoring`: the model alone, and explanations
- `drift`: what the drift figures find
- `feeds`: hundreds of open feeds
- `broken`: a connection broken each second
- `soak`: an hour at half of the rate; nothing may grow
"""
