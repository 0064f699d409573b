"""Record batches as no client would make them, sent to a broker as bytes.

The format is Kafka's own (magic 2, and Produce in version 8): https://kafka.apache.org/protocol
"""

import socket
import struct
import time

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from tests.integration.workers import PATIENCE_S

Header = tuple[bytes, bytes | None]

# Compression, as in the attributes of a batch.
PLAIN, GZIP, SNAPPY, LZ4, ZSTD = range(5)
_PRODUCE, _VERSION = 0, 8
_CASTAGNOLI = 0x82F63B78
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
    body = b"\0" + _varint(0) + _varint(number) + _sized(key) + _sized(value)
    body += _varint(len(headers))
    for name, content in headers:
        body += _sized(name) + _sized(content)
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
    tail = struct.pack(">ibI", -1, 2, _crc32c(checked)) + checked
    return struct.pack(">qi", 0, len(tail)) + tail


def send(bootstrap_servers: str, topic: str, partition: int, content: bytes) -> int:
    """Send a batch to the leader of a partition, as soon as it has one.

    Returns:
        Kafka's code for what came of it; 0 where it was taken.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    deadline = time.monotonic() + PATIENCE_S
    while True:
        metadata = admin.list_topics(topic, timeout=PATIENCE_S)
        leader = metadata.brokers[metadata.topics[topic].partitions[partition].leader]
        code = _produce((str(leader.host), leader.port), topic, partition, content)
        if code not in NO_LEADER_YET or time.monotonic() > deadline:
            return code
        time.sleep(0.1)


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


def _table() -> list[int]:
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (_CASTAGNOLI if number & 1 else 0)  # noqa: PLW2901
        table.append(number)
    return table


_TABLE = _table()


def _crc32c(content: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
