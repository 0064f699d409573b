"""Claims about sources in S3, against moto's server."""

from pathlib import Path

import pytest
from botocore.client import BaseClient

from sentiment.errors import InputError, SettingsError
from tests.integration.s3_helpers import BUCKET, rows, run, texts, upload_in_parts
from tests.integration.s3_server import S3Server
from trainer.ingest import ingest
from trainer.params import S3, Ingest, Source

pytest_plugins = ["tests.integration.s3_fixtures"]


def test_an_object_is_ingested_and_not_fetched_twice(
    server: S3Server, client: BaseClient, tmp_path: Path
) -> None:
    """The second run asks whether there is another version, and reads nothing."""
    content = rows(10)
    client.put_object(Bucket=BUCKET, Key="a b/ü+%.csv", Body=content)
    first = run(server, tmp_path, "a b/ü+%.csv")
    assert texts(tmp_path).encode() == content
    assert [made.name for made in first.sources[0].inputs] == [f"s3://{BUCKET}/a b/ü+%.csv"]
    server.peace()
    assert run(server, tmp_path, "a b/ü+%.csv") == first
    [asked] = server.seen
    assert asked.tag


def test_a_changed_object_is_fetched_again(
    server: S3Server, client: BaseClient, tmp_path: Path
) -> None:
    """What is there is used only as long as it is the same."""
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=rows(10))
    run(server, tmp_path, "a.csv")
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=rows(10, seed=1))
    run(server, tmp_path, "a.csv")
    assert texts(tmp_path).encode() == rows(10, seed=1)


def test_a_prefix_is_all_its_objects_in_order(
    server: S3Server, client: BaseClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sorted by key, over more than one page of the list, without what can't be read."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    client.put_object(Bucket=BUCKET, Key="day/b.txt", Body=b"no")
    for key in ("day/z.csv", "day/b/x.jsonl", "day/a.csv", "day/folder.csv/", "daylight.csv"):
        body = (
            b'{"text": "x.jsonl", "label": 1}'
            if "json" in key
            else b"text,label\n%b,1" % key.encode()
        )
        client.put_object(Bucket=BUCKET, Key=key, Body=body)
    report = run(server, tmp_path, "day/")
    assert [made.name for made in report.sources[0].inputs] == [
        "s3://reviews/day/a.csv", "s3://reviews/day/b/x.jsonl", "s3://reviews/day/z.csv",
    ]  # fmt: skip
    assert texts(tmp_path) == "text,label\nday/a.csv,1\nx.jsonl,1\nday/z.csv,1\n"


def test_a_large_object_in_parts_is_ingested(
    server: S3Server, client: BaseClient, tmp_path: Path
) -> None:
    """It is read at once, however it was uploaded."""
    content = rows(110_000)
    assert upload_in_parts(client, "a.csv", content) == 3
    run(server, tmp_path, "a.csv")
    assert texts(tmp_path).encode() == content
    assert len(server.reads()) == 1


def test_an_empty_object_is_an_empty_source(
    server: S3Server, client: BaseClient, tmp_path: Path
) -> None:
    """It is told as such, and not as a broken download."""
    client.put_object(Bucket=BUCKET, Key="a.jsonl", Body=b"")
    with pytest.raises(InputError, match=r"'shop' has no rows: s3://reviews/a.jsonl is empty"):
        run(server, tmp_path, "a.jsonl")


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("s3://no-such-bucket/a.csv", "no bucket for s3://no-such-bucket/a.csv at http://127"),
        ("s3://no-such-bucket/a/", "no bucket for s3://no-such-bucket/a/ at http://127"),
        ("s3://reviews/none.csv", "There is no object s3://reviews/none.csv"),
        ("s3://reviews/none/", "s3://reviews/none/ has no file that can be read, out of 0"),
    ],
)
def test_what_is_not_there_is_named(
    server: S3Server, client: BaseClient, tmp_path: Path, uri: str, sentence: str
) -> None:
    """Bucket, key and prefix are told apart."""
    del client
    params = Ingest(sources=[Source(name="shop", uri=uri)], s3=S3(endpoint=server.url))
    with pytest.raises(InputError, match=sentence):
        ingest(params, tmp_path, tmp_path / "raw")


def test_the_checksum_of_the_source_is_compared(
    server: S3Server, client: BaseClient, tmp_path: Path
) -> None:
    """Another one than params.yaml says is refused."""
    client.put_object(Bucket=BUCKET, Key="a.csv", Body=rows(10))
    source = Source(name="shop", uri="s3://reviews/a.csv", sha256="0" * 64)
    params = Ingest(sources=[source], s3=S3(endpoint=server.url))
    with pytest.raises(InputError, match=r"has the SHA-256 [0-9a-f]{64}, not 0000"):
        ingest(params, tmp_path, tmp_path / "raw")


@pytest.mark.parametrize(
    "options", [{"endpoint": "not an address"}, {"region": "no region!"}, {"role_arn": "me"}]
)
def test_settings_that_make_no_sense_are_said(
    server: S3Server, tmp_path: Path, options: dict[str, str]
) -> None:
    """A malformed endpoint, region or role ends in a sentence too."""
    with pytest.raises(SettingsError):
        run(server, tmp_path, "a.csv", **options)
