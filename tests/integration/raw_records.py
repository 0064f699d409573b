"""Record batches as no client would make them, sent to a broker as bytes.

The format is Kafka's own (magic 2, and Produce in version 8): https://kafka.apache.org/protocol
"""

import socket
import struct
import time
import zlib
from collections.abc import Iterable
from functools import lru_cache

from aiokafka.record.util import calc_crc32c
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from tests.integration.workers import PATIENCE_S

Header = tuple[bytes, bytes | None]
# Bytes, or one byte so many times.
Piece = bytes | tuple[bytes, int]

# Compression, as in the attributes of a batch.
PLAIN, GZIP, SNAPPY, LZ4, ZSTD = range(5)
_PRODUCE, _VERSION = 0, 8
# What a broker says of a partition that was made a moment ago.
NO_LEADER_YET = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART}


def record(
    value: bytes | None,
    key: bytes | None = None,
    headers: tuple[Header, ...] = (),
    number: int = 0,
) -> bytes:
    """A record of a batch, before compression.

    Args:
        value: None: a tombstone.
        key: Its key.
        headers: Names and values; any bytes.
        number: Its place in the batch.
    """
    parts = [b"\0", _varint(0), _varint(number), _sized(key), _sized(value), _varint(len(headers))]
    parts += (_sized(part) for header in headers for part in header)
    body = b"".join(parts)
    return _varint(len(body)) + body


def batch(records: bytes, count: int = 1, compression: int = PLAIN, time_ms: int = -1) -> bytes:
    """A batch with a right checksum.

    Args:
        records: What follows the batch's head, compressed or not.
        count: How many they are said to be.
        compression: How they are said to be compressed.
        time_ms: Their timestamp; -1: now.
    """
    time_ms = int(time.time() * 1000) if time_ms == -1 else time_ms
    head = struct.pack(">hiqqqhii", compression, count - 1, time_ms, time_ms, -1, -1, -1, count)
    checked = head + records
    tail = struct.pack(">ibI", -1, 2, calc_crc32c(checked)) + checked
    return struct.pack(">qi", 0, len(tail)) + tail


def large(mib: int, compression: int, count: int = 1) -> bytes:
    """A batch whose first record has a value of so many MiB, in a thousandth of that.

    Args:
        mib: Its size.
        compression: `GZIP`, or `ZSTD`.
        count: How many records there are; the others are events.
    """
    body = b"\0" + _varint(0) * 2 + _sized(b"k") + _varint(mib << 20)
    head = _varint(len(body) + (mib << 20) + 1) + body
    event = b'{"text":"a good film"}'
    tail = b"\0" + b"".join(record(event, b"k", number=number) for number in range(1, count))
    pieces: list[Piece] = [head, *((b"a", 1 << 20) for _ in range(mib)), tail]
    packed = zstd(pieces) if compression == ZSTD else gzip(pieces)
    return batch(packed, count, compression)


def gzip(pieces: Iterable[Piece]) -> bytes:
    """Bytes, and repetitions of one byte, by gzip."""
    packer = zlib.compressobj(wbits=31)
    return (
        b"".join(
            packer.compress(piece if isinstance(piece, bytes) else piece[0] * piece[1])
            for piece in pieces
        )
        + packer.flush()
    )


def zstd(pieces: Iterable[Piece]) -> bytes:
    """The same as a frame of zstd that doesn't tell its size, packed where a byte is repeated."""
    # Blocks have at most 128 KiB; the window, the byte after the magic and the flags, is as much.
    most = 1 << 17
    frame = b"\x28\xb5\x2f\xfd" + b"\0\x38"
    for piece in pieces:
        whole, count = (piece, len(piece)) if isinstance(piece, bytes) else piece
        for start in range(0, count, most):
            size = min(most, count - start)
            if whole is piece:
                frame += (size << 3).to_bytes(3, "little") + piece[start : start + size]
            else:
                frame += (size << 3 | 2).to_bytes(3, "little") + whole
    # The last block, with nothing in it.
    return frame + b"\1\0\0"


def halved(count: int) -> bytes:
    """A batch of gzip in two members: Kafka's brokers read both, its client in C the first alone.

    The middle of a record is between them.
    """
    event = b'{"text":"a good film"}'
    records = b"".join(record(event, number=number) for number in range(count))
    middle = len(records) // 2 + 3
    return batch(gzip([records[:middle]]) + gzip([records[middle:]]), count, GZIP)


def send(bootstrap_servers: str, topic: str, partition: int, content: bytes) -> int:
    """Send a batch to the leader of a partition, as soon as it has one.

    Returns:
        Kafka's code for what came of it; 0 where it was taken.
    """
    admin = _admin(bootstrap_servers)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        metadata = admin.list_topics(topic, timeout=PATIENCE_S)
        leader = metadata.brokers[metadata.topics[topic].partitions[partition].leader]
        code = _produce((str(leader.host), leader.port), topic, partition, content)
        if code not in NO_LEADER_YET or time.monotonic() > deadline:
            return code
        time.sleep(0.1)


# Some tests send hundreds of batches. It may outlive the broker, about which it says nothing.
@lru_cache(maxsize=1)
def _admin(bootstrap_servers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})


def _produce(leader: tuple[str, int], topic: str, partition: int, content: bytes) -> int:
    request = struct.pack(">hhih", _PRODUCE, _VERSION, 1, 3) + b"raw"
    request += struct.pack(">hhi", -1, -1, 30_000)
    request += struct.pack(">ih", 1, len(topic)) + topic.encode()
    request += struct.pack(">iii", 1, partition, len(content)) + content
    with socket.create_connection(leader, 30) as broker:
        broker.sendall(struct.pack(">i", len(request)) + request)
        answer = _exactly(broker, struct.unpack(">i", _exactly(broker, 4))[0])
    # Correlation, topics, the topic's name, partitions, the partition; then its code.
    place = 4 + 4 + 2 + len(topic) + 4 + 4
    return int(struct.unpack_from(">h", answer, place)[0])


def _exactly(broker: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = broker.recv(count - len(found))
        assert piece, "the broker has closed the connection"
        found += piece
    return found


def _varint(number: int) -> bytes:
    number = (number << 1) ^ (number >> 63)
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _sized(content: bytes | None) -> bytes:
    return _varint(-1) if content is None else _varint(len(content)) + content
