"""Progress of a run, for the person who waits for it."""

import sys
import time


def say(what: str) -> None:
    """Tell on standard error what happens now."""
    print(f"{time.strftime('%H:%M:%S')} {what} …", file=sys.stderr, flush=True)
