"""Faust: an agent that asks the model per event, or per batch of `take`.

At least once: Faust commits every few seconds, and a kill doubles what came since.
"""

import sys

import faust

from benchmarks.peers import job

# A backlog fills a batch at once; this bounds the wait of the last one.
WITHIN_S = 0.5


def main() -> None:
    """Classify events without end."""
    args = job.arguments("per-event", "take", "take-compiled")
    score = job.compiled() if args.how == "take-compiled" else job.sklearn()
    app = faust.App(
        args.name,
        broker=f"kafka://{args.servers}",
        value_serializer="raw",
        key_serializer="raw",
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
    )
    events = app.topic(args.events, value_type=bytes)
    results = app.topic(args.output, value_type=bytes)

    async def one_by_one(stream: faust.StreamT[bytes]) -> None:
        async for value in stream:
            [result] = job.answer([value], score)
            await results.send(value=result)

    async def in_batches(stream: faust.StreamT[bytes]) -> None:
        async for values in stream.take(job.BATCH, within=WITHIN_S):
            for result in job.answer(values, score):
                await results.send(value=result)

    app.agent(events)(one_by_one if args.how == "per-event" else in_batches)
    sys.argv[1:] = ["worker", "--loglevel=warn", "--without-web"]
    app.main()


if __name__ == "__main__":
    main()
