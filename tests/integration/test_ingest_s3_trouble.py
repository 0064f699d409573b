"""Claims about S3 when lines break, processes are killed and objects change."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from botocore.client import BaseClient
from botocore.config import Config

from sentiment.errors import InputError, SetupError
from tests.integration.s3_helpers import (
    BUCKET,
    SECRET,
    rows,
    run,
    texts,
)
from tests.integration.s3_server import S3Server
from trainer import remote as s3
from trainer.remote import TRIES

pytest_plugins = ["tests.integration.s3_fixtures"]


def test_a_broken_line_is_tried_again_and_then_told(
    server: S3Server, client: BaseClient, tmp_path: Path
) -> None:
    """A few times from the start; nothing of a part is ever taken for the whole."""
    content = rows(20_000)
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=content)

    def mend() -> None:
        server.left = float("inf")

    server.left, server.trouble = 500_000, mend
    run(server, tmp_path / "mended", "a.csv")
    assert texts(tmp_path / "mended").encode() == content
    assert len(server.reads()) == 2
    server.peace()
    server.left = 500_000
    with pytest.raises(SetupError, match=rf"s3://reviews/a.csv broke off {TRIES} times"):
        run(server, tmp_path, "a.csv")
    assert not (tmp_path / "data" / "raw" / "texts.parquet").exists()
    server.peace()
    run(server, tmp_path, "a.csv")
    assert texts(tmp_path).encode() == content


def test_what_a_killed_run_left_is_no_copy(
    server: S3Server, client: BaseClient, tmp_path: Path
) -> None:
    """SIGKILL in the middle of a download: the next run reads the object from its start."""
    content = rows(60_000)
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=content)
    stalled, dead = threading.Event(), threading.Event()

    def stall() -> None:
        stalled.set()
        dead.wait(60)

    server.left, server.trouble = 3_000_000, stall
    code = (
        "import sys; from pathlib import Path; from trainer.ingest import ingest\n"
        "from trainer.params import S3, Ingest, Source\n"
        "source = Source(name='shop', uri='s3://reviews/a.csv')\n"
        "s3, folder = S3(endpoint=sys.argv[1], region='us-east-1'), Path(sys.argv[2])\n"
        "ingest(Ingest(sources=[source], s3=s3), folder, folder / 'data' / 'raw')"
    )
    process = subprocess.Popen([sys.executable, "-c", code, server.url, str(tmp_path)])
    assert stalled.wait(60)
    process.kill()
    process.wait()
    dead.set()
    assert not (tmp_path / "data" / "raw" / "texts.parquet").exists()
    server.peace()
    run(server, tmp_path, "a.csv")
    assert texts(tmp_path).encode() == content


def test_an_object_that_is_changed_on_the_way_is_read_anew(
    server: S3Server, client: BaseClient, tmp_path: Path
) -> None:
    """No table is ever made of two versions."""
    new = rows(20_000, seed=1)
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=rows(20_000))

    def change() -> None:
        client.put_object(Bucket=BUCKET, Key="a.csv", Body=new)
        server.left = float("inf")

    server.left, server.trouble = 1_500_000, change
    run(server, tmp_path, "a.csv")
    assert texts(tmp_path).encode() == new


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_a_bit_that_falls_over_is_found(
    server: S3Server, client: BaseClient, tmp_path: Path, algorithm: str
) -> None:
    """The checksum that S3 has is compared; nothing of the damaged file is kept."""
    content = rows(10)
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=content, ChecksumAlgorithm=algorithm)
    server.corrupt = True
    with pytest.raises(InputError, match="what arrived differs from its checksum"):
        run(server, tmp_path, "a.csv")
    server.peace()
    run(server, tmp_path, "a.csv")
    assert texts(tmp_path).encode() == content


def test_a_busy_server_is_asked_again(server: S3Server, client: BaseClient, tmp_path: Path) -> None:
    """503 Slow Down is no failure."""
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=rows(10))
    server.peace()
    server.refusals = 2
    assert run(server, tmp_path, "a.csv").kept == 10
    assert len(server.reads()) == 3


def test_an_endpoint_that_is_down_is_named(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a bounded number of tries, with what to look at and without a password."""
    monkeypatch.setattr(s3, "CONFIG", s3.CONFIG.merge(Config(retries={"total_max_attempts": 2})))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        down = f"http://user:{SECRET}@127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(
            SetupError, match=r"does not answer at http://\*\*\*@127.0.0.1:\d+, "
        ) as caught:
            run(server, tmp_path, "a.csv", endpoint=down)
    assert "ingest.s3.endpoint" in caught.value.hint
