"""Bytewax: the model is asked per batch that its Kafka source has read.

At least once at best: it keeps offsets in a recovery store of its own, which is off here.
"""

from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage, operators as kop
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

from benchmarks.peers import job


def main() -> None:
    """Classify events without end."""
    args = job.arguments("batches")
    score = job.sklearn()

    def classify(batch: list[KafkaSourceMessage]) -> list[KafkaSinkMessage]:
        results = job.answer([message.value for message in batch], score)
        return [KafkaSinkMessage(None, result) for result in results]

    flow = Dataflow("sentiment")
    servers = args.servers.split(",")
    source = kop.input("events", flow, brokers=servers, topics=[args.events], batch_size=job.BATCH)
    results = op.flat_map_batch("classify", source.oks, classify)
    kop.output("results", results, brokers=servers, topic=args.output)
    # What `python -m bytewax.run` does with one process and one worker.
    cli_main(flow, workers_per_process=1)


if __name__ == "__main__":
    main()
