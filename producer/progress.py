"""How far a long send has come, on standard error."""

import sys
import time

import click

from sentiment import logs

log = logs.get(__name__)

# Often enough to look alive, rarely enough to be read.
TERMINAL_INTERVAL_S = 0.2
# A log is read afterwards: one line says enough of five seconds.
LOG_INTERVAL_S = 5.0


class Progress:
    """A line that is written over on a terminal; log lines elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._started = self._last = time.monotonic()

    def update(self, sent: int, share: float | None) -> None:
        """Say how far it is, unless that was said just now.

        Args:
            sent: Events sent by now.
            share: Share of the whole, from 0 to 1; None where the whole isn't known.
        """
        now = time.monotonic()
        if now - self._last < (TERMINAL_INTERVAL_S if self._terminal else LOG_INTERVAL_S):
            return
        self._last = now
        rate = sent / (now - self._started)
        percent = None if share is None else round(100 * share)
        if self._terminal:
            tail = "" if percent is None else f", {percent} %"
            click.echo(f"\r\x1b[K{sent:,} events, {rate:,.0f} per second{tail}", err=True, nl=False)
        else:
            log.info("progress", sent=sent, rate=round(rate), percent=percent)

    def clear(self) -> None:
        """Take the line away, so that the summary stands alone."""
        if self._terminal:
            click.echo("\r\x1b[K", err=True, nl=False)
