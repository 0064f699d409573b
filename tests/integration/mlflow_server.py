"""An MLflow server for tests."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

# Far above a server's start on a busy machine.
PATIENCE_S = 120.0


class Server:
    """An `mlflow server` of its own on a free port, which can be stopped and started again.

    Args:
        folder: Where it keeps its database, its log, and the artifacts if nothing else is said.
        artifacts: Where it keeps them.
    """

    def __init__(self, folder: Path, artifacts: str = "") -> None:
        self._folder = folder
        self._artifacts = artifacts or str(folder / "artifacts")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
                    "--port", str(self._port), "--workers", "1",
                    "--backend-store-uri", f"sqlite:///{self._folder}/mlflow.db",
                    "--artifacts-destination", self._artifacts,
                ],
                stdout=log, stderr=log, start_new_session=True,
                env={
                    **{k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"},
                    # As in our image: seven more processes, for what nobody here asks of it.
                    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                },
            )  # fmt: skip
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=10).close()  # noqa: S310 - our own
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise AssertionError((self._folder / "server.log").read_text())

    def kill(self) -> None:
        """Kill it with its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(PATIENCE_S)
            self._process = None
