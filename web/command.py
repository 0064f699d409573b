"""`sentiment web`."""

import click

EXAMPLES = """
\b
Examples:
  sentiment web
  sentiment web --port 8080 --bootstrap-servers broker:9092
"""


@click.command(epilog=EXAMPLES, short_help="The page and its API.")
@click.option("--bootstrap-servers", metavar="HOST:PORT,…", help="Kafka's addresses.")
@click.option("--host", help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=int, help="Port to listen on.")
def web(bootstrap_servers: str | None, host: str | None, port: int | None) -> None:
    """Serve the page and its API until SIGTERM or Ctrl-C.

    Any number of these can run beside each other: each reads all results and can answer for any
    event. Kafka may come later, go away and come back; the page says so meanwhile.
    """
    from sentiment.settings import Settings
    from web.server import Server, require_free_port

    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=bootstrap_servers)
    settings.web = settings.web.replace(host=host, port=port)
    require_free_port(settings.web.host, settings.web.port)
    click.echo(f"Serving http://{settings.web.host}:{settings.web.port}", err=True)
    Server(settings).run()
