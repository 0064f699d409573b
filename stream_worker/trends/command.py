"""`sentiment trends`; apart from the worker's, whose image has other libraries."""

import click

EXAMPLES = """
\b
Examples:
  sentiment trends
  sentiment trends --http-port 6067
  curl 'http://127.0.0.1:6066/trends?window=60&seconds=3600'
  curl 'http://127.0.0.1:6066/trends?window=10&source=shop'
"""


@click.command(epilog=EXAMPLES, short_help="Sum the workers' tallies up in windows of time.")
@click.option("--bootstrap-servers", metavar="HOST:PORT,…", help="Kafka's addresses.")
@click.option("--http-host", help="Address of /trends, /sources, /metrics and /livez.")
@click.option("--http-port", type=int, help="Their port.")
def trends(bootstrap_servers: str | None, http_host: str | None, http_port: int | None) -> None:
    """Sum the workers' tallies up in windows of 10 s, a minute and an hour, until stopped.

    Results, positive ones, mean score, latency and dead letters of each window, by source and by
    model version: on the topic of trends, and as JSON at /trends. The sums are exact, whatever is
    killed. One process does the work; a second one waits to take its place.

    Exit codes: 0 stopped, 1 failed, 2 wrong use.
    """
    from sentiment.settings import Settings
    from stream_worker.trends.process import run
    from stream_worker.trends.settings import TrendsSettings

    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=bootstrap_servers)
    settings.use(settings.of(TrendsSettings).replace(http_host=http_host, http_port=http_port))
    run(settings)
