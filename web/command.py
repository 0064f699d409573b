"""`sentiment web`."""

import click

EXAMPLES = """
\b
Examples:
  sentiment web
  sentiment web --port 8080 --bootstrap-servers broker-1:9092,broker-2:9092
  curl -H 'Content-Type: application/json' -d '{"id": "a", "text": "Great."}' \\
       http://127.0.0.1:5000/api/events
  curl 'http://127.0.0.1:5000/api/results/a?wait=5'
  curl -N 'http://127.0.0.1:5000/api/stream?sentiment=negative'
"""


@click.command(epilog=EXAMPLES, short_help="The page and its JSON API, until stopped.")
@click.option("--bootstrap-servers", metavar="HOST:PORT,…", help="Kafka's addresses.")
@click.option("--host", help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=int, help="Port to listen on.")
def web(bootstrap_servers: str | None, host: str | None, port: int | None) -> None:
    """Serve the page until SIGTERM or Ctrl-C.

    The page sends texts and shows results as they come back; the JSON API under it does the same
    for programs. It starts whether or not Kafka is there, says when Kafka is away, and goes on by
    itself. Any number of replicas may run: each answers for every event.

    /metrics, /livez and /readyz are on the same port.
    """
    from sentiment.settings import Settings
    from web.server import serve
    from web.settings import OperatorsSettings, WebSettings

    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=bootstrap_servers)
    settings.use(settings.of(WebSettings).replace(host=host, port=port))
    # Read before the fork, so that a wrong one ends the command with its sentence.
    _ = settings.of(OperatorsSettings)
    serve(settings)
