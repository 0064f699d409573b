"""Structured logs: coloured lines on a terminal, one JSON object per line elsewhere.

Logs go to standard error, so that standard output stays a program's to read. Message texts are
never logged: events are named by topic, partition and offset.
"""

import logging
import sys
import time
from typing import Literal

import structlog
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from sentiment.settings import Section

# A broker that is away is news once; librdkafka says it at each of its tries, many a second.
QUIET_S = 30.0


class LogSettings(Section):
    """The format of logs."""

    model_config = SettingsConfigDict(env_prefix="LOG_")

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="The least severe level that is logged."
    )
    format: Literal["auto", "json"] = Field(
        "auto", description="`auto`: coloured on a terminal, else JSON. `json`: always JSON."
    )


class Sparing(logging.Filter):
    """Lets one line of each kind pass in `QUIET_S`; librdkafka's lines begin with their kind."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is news."""
        kind = record.getMessage().partition(" ")[0]
        now = time.monotonic()
        if now - self._passed.get(kind, -QUIET_S) < QUIET_S:
            return False
        self._passed[kind] = now
        return True


def configure() -> None:
    """Set up structlog and route the standard library's logging through it."""
    settings = LogSettings()
    terminal = sys.stderr.isatty() and settings.format != "json"
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[structlog.typing.Processor] = (
        # Without the values of variables: some are secrets.
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level)
    kafka = logging.getLogger("librdkafka")
    if not any(isinstance(present, Sparing) for present in kafka.filters):
        kafka.addFilter(Sparing())
    for chatty in ("alembic", "mlflow", "urllib3", "botocore"):
        # Their information is of no use to an operator of this system; their warnings are.
        logging.getLogger(chatty).setLevel(logging.WARNING)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger named after its module: `log = logs.get(__name__)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
