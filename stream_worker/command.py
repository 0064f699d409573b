"""`sentiment worker`."""

import sys

import click

EXAMPLES = """
\b
Examples:
  sentiment worker
  sentiment worker --bootstrap-servers broker-1:9092,broker-2:9092
  WORKER_GROUP_PROTOCOL=classic sentiment worker --http-port 0
"""


@click.command(epilog=EXAMPLES, short_help="Classify text events, exactly once, until stopped.")
@click.option("--bootstrap-servers", metavar="HOST:PORT,…", help="Kafka's addresses.")
@click.option("--group-id", help="Consumer group; all its workers share the work.")
@click.option("--model", metavar="URI", help="models:/NAME@ALIAS or models:/NAME/VERSION.")
@click.option("--max-batch", type=int, help="Most events in one transaction.")
@click.option("--http-port", type=int, help="Port of /metrics, /livez, /readyz; 0: any free one.")
def worker(
    bootstrap_servers: str | None,
    group_id: str | None,
    model: str | None,
    max_batch: int | None,
    http_port: int | None,
) -> None:
    """Classify text events until SIGTERM or Ctrl-C.

    Results, dead letters, tallies and input offsets commit in one Kafka transaction per batch:
    readers in read_committed see each event exactly once, whatever is killed. Start as many
    workers as the events topic has partitions.

    The model is the one that the MLflow registry at MLFLOW_TRACKING_URI calls champion; when that
    alias moves, the worker follows without a restart.

    Exit codes: 0 stopped, 1 failed, 2 wrong use, 3 fenced by another worker, 4 transactions keep
    failing, 5 too many dead letters, 6 events expired unread, with WORKER_EXPIRED=stop.
    """
    from sentiment.interrupts import end_at_once

    # The imports, the model and the group take seconds, and a pod may be unwanted by then.
    end_at_once()
    # MLflow and scikit-learn take these along where they are installed, which costs 65 MB and a
    # second, and a worker uses neither.
    for unused in ("pandas", "pyarrow"):
        sys.modules[unused] = None  # type: ignore[assignment]  # Python's way to say: not there

    from sentiment.settings import Settings
    from stream_worker.process import run

    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=bootstrap_servers)
    settings.model = settings.model.replace(uri=model)
    settings.worker = settings.worker.replace(
        group_id=group_id, max_batch=max_batch, http_port=http_port
    )
    run(settings)
