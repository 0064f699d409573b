"""Ours, the limit that Kafka sets, and the peers, measured side by side in one run.

Speed is told in ratios between candidates that read the same topic on the same machine one after
the other: events a second by themselves say more about the machine than about the code.

- `bench`: what a run measures
- `run`: one part of it after the other
- `candidates`: ours and the peers, each in an environment of its own
- `peers`: the same job in other stream processors
- `events`: what they read
- `copy_loop`: the limit: bytes from topic to topic
- `measure`: processes, and how fast they are
- `targets`: what must not get slower
- `speed`: events a second
- `latency`: from topic to topic at a quarter of the rate
- `scoring`: the model alone, and explanations
- `trends`: tallies against events
- `lifecycle`: training and judging
- `report`: figures for people and documents
- `drift`: what the drift figures find
- `feeds`: hundreds of open feeds
- `broken`: a connection broken each second
- `soak`: an hour at half of the rate; nothing may grow
"""
