"""How far a long command has come, on standard error."""

import sys
import time
from datetime import timedelta

import click

from sentiment import logs

log = logs.get(__name__)

# Often enough to look alive, rarely enough to be read.
TERMINAL_INTERVAL_S = 0.2
# A log is read afterwards: one line says enough of five seconds.
LOG_INTERVAL_S = 5.0


class Progress:
    """A line that is written over on a terminal; log lines elsewhere.

    Args:
        total: How many events there are, where that is known from the start.
        begun: How many of them an earlier start has done.
    """

    def __init__(self, total: int | None = None, begun: int = 0) -> None:
        self._total = total
        self._begun = begun
        self._terminal = sys.stderr.isatty()
        self._started = self._last = time.monotonic()

    def update(self, sent: int, share: float | None = None) -> None:
        """Say how far it is, unless that was said just now.

        Args:
            sent: Events sent by now.
            share: Share of the whole, from 0 to 1; None where the whole isn't known, or `total` is.
        """
        now = time.monotonic()
        if now - self._last < (TERMINAL_INTERVAL_S if self._terminal else LOG_INTERVAL_S):
            return
        self._last = now
        rate = (sent - self._begun) / (now - self._started)
        if self._total:
            share = sent / self._total
        percent = None if share is None else round(100 * share)
        left_s = round((self._total - sent) / rate) if self._total and rate else None
        if self._terminal:
            of = f" of {self._total:,}" if self._total else ""
            tail = "" if percent is None else f", {percent} %"
            tail += "" if left_s is None else f", {timedelta(seconds=left_s)} left"
            click.echo(
                f"\r\x1b[K{sent:,}{of} events, {rate:,.0f} per second{tail}", err=True, nl=False
            )
        else:
            known = {} if self._total is None else {"of": self._total, "seconds_left": left_s}
            log.info("progress", sent=sent, rate=round(rate), percent=percent, **known)

    def clear(self) -> None:
        """Take the line away, so that the summary stands alone."""
        if self._terminal:
            click.echo("\r\x1b[K", err=True, nl=False)
