"""Objects in S3, or in what speaks its protocol: listed, read in ranges, checked.

Who we are is found as boto3 does it: environment, profile, web identity (IRSA), container or
instance role; and with `role_arn`, whom these may become. AWS_ENDPOINT_URL_STS names another
address for that.
"""

import base64
import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Self

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import BotoCoreError, ClientError

from trainer.params import S3
from trainer.sources import s3_errors
from trainer.sources.checksums import BLOCK_BYTES, Algorithm, digest
from trainer.sources.ranges import BrokenTransferError

SCHEME = "s3://"
# S3 gives one connection some 90 MB/s at most; eight fill the line of most machines.
CONNECTIONS = 8
# Four tries of boto3's with its pauses: an endpoint that refuses is given up after some 10 s, one
# that says nothing after under a minute.
CONFIG = Config(
    connect_timeout=10,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=CONNECTIONS,
    # boto3 would take the sum of the whole for that of a range; we check the whole.
    response_checksum_validation="when_required",
    user_agent_extra="sentiment-ingest",
)
_ALGORITHMS: dict[str, Algorithm] = {
    "ChecksumSHA256": "sha256",
    "ChecksumSHA1": "sha1",
    "ChecksumCRC32": "crc32",
}
_ETAG = re.compile(r'"?([0-9a-f]{32})(?:-(\d+))?"?')


class Checksum(NamedTuple):
    """One that S3 has for an object; `parts`: of how many sums it is the sum, 0: of the whole."""

    name: str
    algorithm: Algorithm
    digest: bytes
    parts: int


class Store:
    """The S3 that `params.yaml` describes; a context manager."""

    def __init__(self, params: S3) -> None:
        self.params = params
        with s3_errors.explained(params):
            session = botocore.session.Session(profile=params.profile)
            if params.role_arn:
                resolver = CredentialResolver([_Role(session, params.role_arn, params.region)])
                session = botocore.session.Session(profile=params.profile)
                session.register_component("credential_provider", resolver)
            self.client: Any = boto3.session.Session(
                botocore_session=session, region_name=params.region
            ).client("s3", endpoint_url=params.endpoint, config=CONFIG)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def names(self, prefix: str) -> list[str]:
        """Addresses of the objects below a prefix, sorted.

        Args:
            prefix: `s3://bucket/` or `s3://bucket/some/prefix/`.

        Raises:
            SentimentError: It can't be listed.
        """
        bucket, start = parse(prefix)
        with s3_errors.explained(self.params, prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=start
            )
            keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        # Most buckets list in this order, directory buckets in none.
        return sorted(f"{SCHEME}{bucket}/{key}" for key in keys)

    def open(self, address: str) -> "Object":
        """Look an object up.

        Raises:
            SentimentError: It isn't there, or may not be read.
        """
        return Object(self, address)


class Object:
    """A `trainer.sources.ranges.Remote`."""

    connections = CONNECTIONS

    def __init__(self, store: Store, address: str) -> None:
        self._store = store
        self.uri = address
        bucket, key = parse(address)
        self._name = {"Bucket": bucket, "Key": key}
        with s3_errors.explained(store.params, address):
            try:
                head = store.client.head_object(**self._name, ChecksumMode="ENABLED")
            except ClientError:
                # An answer to HEAD has no body and so no reason; this one has.
                store.client.get_object(**self._name, Range="bytes=0-0")["Body"].close()
                raise
        self.size: int = head["ContentLength"]
        self.tag: str = head["ETag"]
        self._checksums = checksums(head, bucket)

    def read(self, start: int, stop: int) -> Generator[bytes]:
        """The bytes from `start` up to `stop`; see `Remote`."""
        with s3_errors.explained(self._store.params, self.uri):
            answer = self._store.client.get_object(
                **self._name, Range=f"bytes={start}-{stop - 1}", IfMatch=self.tag
            )
        with closing(answer["Body"]) as body:
            try:
                yield from body.iter_chunks(BLOCK_BYTES)
            except (BotoCoreError, OSError) as error:
                raise BrokenTransferError(type(error).__name__) from error

    def fault(self, path: Path) -> str:
        """Which of S3's checksums a file fails; empty: none."""
        parts: dict[int, list[int]] = {0: [self.size]}
        for name, algorithm, expected, count in self._checksums:
            if count not in parts:
                parts[count] = self._parts(count)
            # Not every S3 tells the parts of an object; without them there is no comparing.
            if sum(parts[count]) == self.size and (
                digest(path, algorithm, parts[count] if count else ()) != expected
            ):
                return name
        return ""

    def _parts(self, count: int) -> list[int]:
        """Sizes of the parts in which the object was uploaded."""

        def size(number: int) -> int:
            head = self._store.client.head_object(**self._name, PartNumber=number)
            return int(head["ContentLength"])

        with (
            s3_errors.explained(self._store.params, self.uri),
            ThreadPoolExecutor(CONNECTIONS) as pool,
        ):
            return list(pool.map(size, range(1, count + 1)))


def parse(address: str) -> tuple[str, str]:
    """Bucket and key, or prefix, of `s3://bucket/key`."""
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    return bucket, key


def checksums(head: dict[str, Any], bucket: str) -> list[Checksum]:
    """What S3 says of an object's content, as far as it can be compared.

    Args:
        head: The answer to HeadObject.
        bucket: Where it is.
    """
    found = []
    etag = _ETAG.fullmatch(head["ETag"])
    parts = int(etag[2] or 0) if etag else 0
    for field, algorithm in _ALGORITHMS.items():
        value, _, of_parts = head.get(field, "").partition("-")
        # Some servers leave out what kind it is; of an object in parts it could be either.
        if value and (of_parts or not parts or head.get("ChecksumType") == "FULL_OBJECT"):
            name = field.removeprefix("Checksum")
            found.append(Checksum(name, algorithm, base64.b64decode(value), int(of_parts or 0)))
    # Encrypted by a key of KMS or the customer, or in a directory bucket, it is no MD5.
    encrypted = head.get("ServerSideEncryption", "AES256") != "AES256"
    own_key = "SSECustomerAlgorithm" in head
    if etag and not (encrypted or own_key or bucket.endswith("--x-s3")):
        found.append(Checksum("ETag", "md5", bytes.fromhex(etag[1]), parts))
    return found


class _Role(CredentialProvider):  # type: ignore[misc]
    """Credentials of a role, fetched anew before they end, however long a download takes."""

    METHOD = "assume-role"

    def __init__(
        self, session: botocore.session.Session, role_arn: str, region: str | None
    ) -> None:
        super().__init__()
        self._session, self._role_arn, self._region = session, role_arn, region

    def load(self) -> DeferredRefreshableCredentials | None:
        """None where there are no credentials to begin with."""
        source = self._session.get_credentials()
        if source is None:
            return None

        def client(service: str, **options: Any) -> Any:  # noqa: ANN401 - botocore has no types
            options["config"] = CONFIG.merge(options["config"]) if "config" in options else CONFIG
            return self._session.create_client(service, region_name=self._region, **options)

        fetcher = AssumeRoleCredentialFetcher(
            client, source, self._role_arn, extra_args={"RoleSessionName": "sentiment-ingest"}
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)
