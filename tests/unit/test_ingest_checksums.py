"""Claims about checksums, with values from elsewhere."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from trainer.sources import checksums
from trainer.sources.checksums import Algorithm, digest
from trainer.sources.s3 import checksums as of_head

MD5 = '"9e107d9d372bb6826bd81d3542a419d6"'  # pragma: allowlist secret - a checksum
PARTS = '"9e107d9d372bb6826bd81d3542a419d6-3"'


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        # The examples of the Wikipedia articles on each.
        ("crc32", "414fa339"),
        # pragma: allowlist nextline secret - a checksum
        ("md5", "9e107d9d372bb6826bd81d3542a419d6"),
        # pragma: allowlist nextline secret - a checksum
        ("sha1", "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"),
        # pragma: allowlist nextline secret - a checksum
        ("sha256", "d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d3cdb762d02d0bf37c9e592"),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 7, 1024])
def test_known_sums(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    algorithm: Algorithm,
    expected: str,
    block_bytes: int,
) -> None:
    """Each algorithm gives the published sum, however the file is read."""
    monkeypatch.setattr(checksums, "BLOCK_BYTES", block_bytes)
    path = tmp_path / "fox"
    path.write_bytes(b"The quick brown fox jumps over the lazy dog")
    assert digest(path, algorithm).hex() == expected


def test_sums_of_parts_are_those_of_their_sums(tmp_path: Path) -> None:
    """As S3 documents it for multi-part uploads: the digest of the digests, one after the other."""
    path = tmp_path / "file"
    path.write_bytes(b"aaaabbbbc")
    sums = b"".join(hashlib.md5(part).digest() for part in (b"aaaa", b"bbbb", b"c"))  # noqa: S324 - S3's
    assert digest(path, "md5", [4, 4, 1]) == hashlib.md5(sums).digest()  # noqa: S324 - as above
    assert digest(path, "md5", [4, 5]) != hashlib.md5(sums).digest()  # noqa: S324 - as above


@pytest.mark.parametrize(
    ("head", "bucket", "expected"),
    [
        ({"ETag": MD5}, "b", [("ETag", 0)]),
        ({"ETag": PARTS}, "b", [("ETag", 3)]),
        ({"ETag": MD5, "ServerSideEncryption": "AES256"}, "b", [("ETag", 0)]),
        # Of these the ETag is something else than an MD5.
        ({"ETag": MD5, "ServerSideEncryption": "aws:kms"}, "b", []),
        ({"ETag": MD5, "SSECustomerAlgorithm": "AES256"}, "b", []),
        ({"ETag": MD5}, "fast--use1-az5--x-s3", []),
        ({"ETag": '"another server\'s own"'}, "b", []),
        ({"ETag": MD5, "ChecksumSHA256": "q6s="}, "b", [("SHA256", 0), ("ETag", 0)]),
        ({"ETag": PARTS, "ChecksumSHA1": "q6s=-3"}, "b", [("SHA1", 3), ("ETag", 3)]),
        ({"ETag": PARTS, "ChecksumCRC32": "q6s=", "ChecksumType": "FULL_OBJECT"}, "b",
         [("CRC32", 0), ("ETag", 3)]),
        # It could be of either kind: a server that doesn't say.
        ({"ETag": PARTS, "ChecksumCRC32": "q6s="}, "b", [("ETag", 3)]),
    ],
)  # fmt: skip
def test_what_s3_says_is_understood(
    head: dict[str, Any], bucket: str, expected: list[tuple[str, int]]
) -> None:
    """Only what is a checksum of the content is taken for one, of the whole or of parts."""
    found = of_head(head, bucket)
    assert [(checksum.name, checksum.parts) for checksum in found] == expected
    for checksum in found:
        if checksum.name != "ETag":
            assert checksum.digest == base64.b64decode("q6s=")
