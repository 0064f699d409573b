"""Claims about S3 when lines break, processes are killed and objects change."""

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from botocore.client import BaseClient
from botocore.config import Config

from sentiment.errors import InputError, SetupError
from tests.integration.s3_helpers import (
    BUCKET,
    SECRET,
    asked,
    note,
    rows,
    run,
    texts,
    upload_in_parts,
)
from tests.integration.s3_server import S3Server
from trainer.sources import ranges, s3

pytest_plugins = ["tests.integration.s3_fixtures"]


def test_after_a_broken_line_only_the_rest_is_read(
    server: S3Server, client: BaseClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run asks for exactly the bytes that the first did not get."""
    monkeypatch.setattr(ranges, "RANGE_BYTES", 2_000_000)
    content = rows(60_000)
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=content)
    server.left = 5_500_000
    monkeypatch.setattr(s3.Object, "connections", 2)
    with pytest.raises(SetupError, match=r"s3://reviews/a.csv broke off 5 times") as caught:
        run(server, tmp_path, "a.csv")
    assert "goes on from there" in caught.value.hint
    arrived = sum(note(tmp_path)["done"])
    assert 2_000_000 < arrived < 5_500_000
    server.peace()
    run(server, tmp_path, "a.csv")
    assert asked(server) == len(content) - arrived
    assert texts(tmp_path).encode() == content


def test_after_a_kill_only_the_rest_is_read(
    server: S3Server, client: BaseClient, tmp_path: Path
) -> None:
    """SIGKILL in the middle of a download loses the ranges in work, and nothing that was done."""
    content = rows(300_000)
    upload_in_parts(client, "a.csv", content)
    stalled, dead = threading.Event(), threading.Event()

    def stall() -> None:
        stalled.set()
        dead.wait(60)

    # Of four ranges, which are read side by side, less than one is held back.
    server.left, server.trouble = 28_000_000, stall
    code = (
        "import sys; from pathlib import Path; from trainer.ingest import ingest\n"
        "from trainer.params import S3, Ingest, Source\n"
        "source = Source(name='shop', uri='s3://reviews/a.csv')\n"
        "s3, folder = S3(endpoint=sys.argv[1], region='us-east-1'), Path(sys.argv[2])\n"
        "ingest(Ingest(sources=[source], s3=s3), folder, folder / 'data' / 'raw')"
    )
    process = subprocess.Popen([sys.executable, "-c", code, server.url, str(tmp_path)])
    assert stalled.wait(60)
    # One range at least was sent whole, and is noted as soon as it is on the disk.
    while not (arrived := sum(note(tmp_path)["done"])):
        time.sleep(0.01)
    process.kill()
    process.wait()
    dead.set()
    arrived = sum(note(tmp_path)["done"])
    assert not (tmp_path / "data" / "raw" / "texts.parquet").exists()
    server.peace()
    run(server, tmp_path, "a.csv")
    assert asked(server) == len(content) - arrived
    assert texts(tmp_path).encode() == content


def test_what_arrived_of_an_older_version_is_dropped(
    server: S3Server, client: BaseClient, tmp_path: Path
) -> None:
    """An object that was changed between two runs is read from its start."""
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=rows(20_000))
    server.left = 1_500_000
    with pytest.raises(SetupError, match="broke off"):
        run(server, tmp_path, "a.csv")
    new = rows(20_000, seed=1)
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=new)
    server.peace()
    run(server, tmp_path, "a.csv")
    assert asked(server) == len(new)
    assert texts(tmp_path).encode() == new


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


@pytest.mark.parametrize(
    ("extra", "checksum"),
    [({}, "CRC32"), ({"ChecksumAlgorithm": "SHA256"}, "SHA256"), ({"parts": "yes"}, "ETag")],
)
def test_a_bit_that_falls_over_is_found(
    server: S3Server, client: BaseClient, tmp_path: Path, extra: dict[str, str], checksum: str
) -> None:
    """Whatever checksum S3 has is compared; nothing of the damaged file is kept."""
    if extra == {"parts": "yes"}:
        content = rows(60_000)
        upload_in_parts(client, "a.csv", content)
    else:
        content = rows(10)
        client.put_object(Bucket=BUCKET, Key="a.csv", Body=content, **extra)
    server.corrupt = True
    with pytest.raises(InputError, match=f"what arrived differs from its {checksum}"):
        run(server, tmp_path, "a.csv")
    assert [path.suffix for path in (tmp_path / "data" / "cache").iterdir()] == [".json"]
    server.peace()
    run(server, tmp_path, "a.csv")
    assert texts(tmp_path).encode() == content


def test_a_busy_server_is_asked_again(server: S3Server, client: BaseClient, tmp_path: Path) -> None:
    """503 Slow Down is no failure."""
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=rows(10))
    server.peace()
    server.refusals = 2
    assert run(server, tmp_path, "a.csv").kept == 10
    assert len(server.spans()) == 3


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
