"""What the tests of sources in S3 have in common."""

import random
from pathlib import Path

import boto3
from botocore.client import BaseClient

from sentiment.errors import SentimentError
from tests.integration.s3_server import S3Server
from trainer import tables
from trainer.ingest import IngestReport, ingest
from trainer.params import S3, Ingest, Source

KEY_ID, SECRET = "AKIAOFTHETEST", "the-secret-of-the-test"
BUCKET = "reviews"
# The least that S3 takes for a part of an upload.
PART_BYTES = 5 * 1024 * 1024


def new_client(server: S3Server, service: str) -> BaseClient:
    """A client of a service of moto's."""
    return boto3.session.Session(region_name="us-east-1").client(
        service,
        endpoint_url=server.url,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
    )


def rows(count: int, seed: int = 0) -> bytes:
    """A CSV file of made texts, 100 characters each, which no compression makes smaller."""
    chance = random.Random(seed)  # noqa: S311 - made data, not secrets
    lines = (f"{chance.randbytes(50).hex()},{i % 2}\n" for i in range(count))
    return b"text,label\n" + "".join(lines).encode()


def upload_in_parts(client: BaseClient, key: str, content: bytes, **extra: str) -> int:
    """A multi-part upload; the number of its parts."""
    name = {"Bucket": BUCKET, "Key": key}
    upload = client.create_multipart_upload(**name, **extra)["UploadId"]
    parts = [content[at : at + PART_BYTES] for at in range(0, len(content), PART_BYTES)]
    done = [
        {
            "PartNumber": number,
            "ETag": client.upload_part(**name, UploadId=upload, PartNumber=number, Body=part)[
                "ETag"
            ],
        }
        for number, part in enumerate(parts, 1)
    ]
    client.complete_multipart_upload(**name, UploadId=upload, MultipartUpload={"Parts": done})
    return len(parts)


def run(server: S3Server, folder: Path, key: str, **options: str) -> IngestReport:
    """Ingest an object or prefix of the bucket to `folder/data/raw`; options are those of S3."""
    own = {"endpoint": server.url, "region": "us-east-1"} | options
    sources = [Source(name="shop", uri=f"s3://{BUCKET}/{key}")]
    said: list[str] = []
    try:
        return ingest(
            Ingest(sources=sources, s3=S3(**own)), folder, folder / "data" / "raw", said.append
        )
    except SentimentError as error:
        said += [error.message, error.hint]
        raise
    finally:
        assert SECRET not in "\n".join(said)


def texts(folder: Path) -> str:
    """The table's rows as the CSV file that they came from."""
    frame = tables.read(folder / "data" / "raw" / "texts.parquet", "ingest")
    return frame[["text", "label"]].to_csv(index=False)
