"""Quix Streams, exactly once: the model is asked per event, or per checkpoint in a sink."""

from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

from benchmarks.peers import job

# The worker's own: more rarely, and readers would wait; more often, and commits would count.
COMMIT_EVERY = 5000


class ScoringSink(BatchingSink):  # type: ignore[misc] # Quix isn't installed here
    """Scores what a checkpoint holds in one call, and publishes it in the same transaction.

    Quix has no operator for batches of a stream. A sink is flushed just before the transaction
    commits, so that what it sends through the application's own producer is committed with it.

    Args:
        app: Its producer is used; it is not public.
        output: The topic of the results.
    """

    def __init__(self, app: Application, output: str) -> None:
        super().__init__()
        self._producer = app._producer  # noqa: SLF001 - the only one that is in the transaction
        self._output = output
        self._score = job.compiled()

    def write(self, batch: SinkBatch) -> None:
        """Called with one partition's events of the checkpoint."""
        for result in job.answer([item.value for item in batch], self._score):
            self._producer.produce(self._output, value=result, partition=batch.partition)


def main() -> None:
    """Classify events without end."""
    args = job.arguments("per-event", "sink-compiled")
    in_batches = args.how == "sink-compiled"
    app = Application(
        broker_address=args.servers,
        consumer_group=args.name,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        # Per event Quix's own default of five seconds serves it best.
        commit_every=COMMIT_EVERY if in_batches else 0,
        loglevel="WARNING",
    )
    if in_batches:
        events = app.topic(args.events, value_deserializer="bytes")
        app.dataframe(events).sink(ScoringSink(app, args.output))
    else:
        score = job.sklearn()
        events = app.topic(args.events, value_deserializer="json")
        output = app.topic(args.output, value_serializer="json")
        frame = app.dataframe(events)
        frame = frame.apply(lambda event: job.result(event, score([event["text"]])[0]))
        frame.to_topic(output)
    app.run()


if __name__ == "__main__":
    main()
