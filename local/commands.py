"""`sentiment kafka` and `sentiment demo`."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    help="Keeps the data between starts; by default a folder in LOCAL_DATA_DIR.",
)

KAFKA_EXAMPLES = """
\b
Examples:
  sentiment kafka
  sentiment kafka --brokers 3
  sentiment kafka --port 0 --json        a free port, told as JSON
  KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:9092 sentiment topics
"""


@click.command(epilog=KAFKA_EXAMPLES, short_help="A real Apache Kafka here, from pip alone.")
@click.option(
    "--brokers", type=click.IntRange(1, 9), default=1, show_default=True,
    help="How many; 3 survive the loss of one.",
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9092, show_default=True,
    help="The first broker's port; 0: a free one. Further brokers take free ones.",
)  # fmt: skip
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Tell the address as JSON.")
def kafka(brokers: int, port: int, data_dir: Path | None, as_json: bool) -> None:
    """Run Apache Kafka on this machine until Ctrl-C or SIGTERM.

    No Docker and no installed Java are needed: the Java runtime comes from pip, and Kafka's jars
    are fetched once, checked against the sums that come with this program, and kept.
    """
    from local.broker import LocalKafka
    from local.process import Stopping
    from local.settings import LocalSettings

    stopping = Stopping()
    settings = LocalSettings()
    say = partial(click.echo, err=True)
    folder = data_dir or settings.data_dir / f"kafka-{brokers}"
    with LocalKafka(folder, settings.cache_dir, say, brokers, port) as cluster:
        stopping.everything_runs()
        address = cluster.bootstrap_servers
        shown = json.dumps({"bootstrap_servers": address}) if as_json else f"Kafka: {address}"
        click.echo(shown)
        cluster.wait_while_alive(stopping.event)


DEMO_EXAMPLES = """
\b
Examples:
  sentiment demo
  sentiment demo --rate 200
  sentiment demo --bootstrap-servers broker:9092
  sentiment demo --headless --duration 20 --rate 2000 --json
"""


@click.command(epilog=DEMO_EXAMPLES, short_help="Everything on this machine, with traffic.")
@click.option(
    "--rate", type=click.FloatRange(0.1, 50_000), default=20.0, show_default=True,
    help="Sample events a second.",
)  # fmt: skip
@click.option(
    "--duration", "duration_s", type=click.FloatRange(1), metavar="SECONDS",
    help="End after this long with traffic; by default on Ctrl-C.",
)  # fmt: skip
@click.option("--headless", is_flag=True, help="No panel.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object; no panel.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5000, show_default=True,
    help="The page's port.",
)  # fmt: skip
@click.option(
    "--kafka-port", type=click.IntRange(0, 65535), default=9092, show_default=True,
    help="Kafka's port; 0: a free one.",
)  # fmt: skip
@click.option("--bootstrap-servers", metavar="HOST:PORT,…", help="Use this Kafka instead.")
@data_dir_option
def demo(*, data_dir: Path | None, headless: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - those of `Options`
    """Run every part on this machine, with sample traffic, until Ctrl-C.

    Starts Apache Kafka, a model registry, one worker and the page, sends sample events, some of
    them bad on purpose, and shows events and results per second, lag, latency and dead letters.

    Ends with exit code 0 only if every event came back exactly once.
    """
    from local.demo import Options, run
    from local.settings import LocalSettings

    folder = data_dir or LocalSettings().data_dir / "demo"
    sys.exit(run(Options(folder, headless=headless or as_json, as_json=as_json, **options)))
