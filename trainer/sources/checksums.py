"""Checksums of files: of the whole, and by parts as S3 forms those of a multi-part upload."""

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

Algorithm = Literal["crc32", "md5", "sha1", "sha256"]

# Large enough that a call costs nothing beside its bytes, small enough for any machine.
BLOCK_BYTES = 1024 * 1024


class Hash(Protocol):
    """What `hashlib` and we have in common."""

    def update(self, data: bytes, /) -> None:
        """Take in more."""

    def digest(self) -> bytes:
        """The sum of all so far."""


class Crc32:
    """CRC-32 as S3 writes it, in four bytes with the highest first."""

    def __init__(self, data: bytes = b"") -> None:
        self._value = zlib.crc32(data)

    def update(self, data: bytes, /) -> None:
        """Take in more."""
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        """The sum of all so far."""
        return self._value.to_bytes(4, "big")


# MD5 and SHA-1 are S3's own against damage on the way, not against people.
_HASHES: dict[Algorithm, Callable[..., Hash]] = {
    "crc32": Crc32,
    "md5": partial(hashlib.md5, usedforsecurity=False),
    "sha1": partial(hashlib.sha1, usedforsecurity=False),
    "sha256": hashlib.sha256,
}


def digest(path: Path, algorithm: Algorithm, parts: Sequence[int] = ()) -> bytes:
    """The checksum of a file.

    Args:
        path: The file.
        algorithm: How it is formed.
        parts: Sizes of the parts of which a sum of sums is formed, in bytes; none: that of the
            whole.
    """
    new = _HASHES[algorithm]
    with path.open("rb") as file:
        if parts:
            return new(b"".join(_sum(_blocks(file, size), new()) for size in parts)).digest()
        return _sum(_blocks(file, path.stat().st_size), new())


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return digest(path, "sha256").hex()


def _sum(blocks: Iterator[bytes], hashed: Hash) -> bytes:
    for block in blocks:
        hashed.update(block)
    return hashed.digest()


def _blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size and (block := file.read(min(size, BLOCK_BYTES))):
        size -= len(block)
        yield block
