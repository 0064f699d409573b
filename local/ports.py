"""Ports of this machine."""

import errno
import os
import socket
from contextlib import ExitStack

from sentiment.errors import SetupError

# Loopback only: nothing here asks who is there.
HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Different ports that nobody has at this moment."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        # All are held until the last one is found, so that none is given twice.
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]


def free_port() -> int:
    """A port that nobody has at this moment."""
    return free_ports(1)[0]


def require_free_port(port: int, option: str = "--port") -> None:
    """Raise a `SetupError` when a port can't be had; `option` is what chooses another one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "is in use by another program" if taken else os.strerror(error.errno or 0)
            raise SetupError(
                f"Port {port} {reason}." if taken else f"Port {port} can't be opened: {reason}.",
                f"Choose another port with {option}"
                + (", or stop that program." if taken else "."),
            ) from None
