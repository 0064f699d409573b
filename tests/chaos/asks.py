"""Two questions that librdkafka can't ask the brokers: who leads the controllers, who coordinates.

Each is one small request on a connection of its own, by Kafka's protocol.
"""

import socket
import struct
from typing import Literal

from local.process import HOST

# Loopback answers in milliseconds; a broker that was just paused doesn't.
TIMEOUT_S = 2.0
FIND_COORDINATOR, DESCRIBE_QUORUM = 10, 55
# Where the answer of DescribeQuorum, version 0, for one topic and partition holds the leader.
LEADER_AT = 34
KINDS = {"group": 0, "transaction": 1}


def controller(ports: list[int]) -> int:
    """The number of the broker whose controller leads the quorum.

    Args:
        ports: Of brokers that run; the first that answers is believed.

    Raises:
        OSError: None answers.
    """
    topic = b"__cluster_metadata"
    # Compact arrays and strings hold their length plus one; each structure ends with its tags.
    body = bytes((2, len(topic) + 1)) + topic + bytes((2,)) + struct.pack(">i", 0) + bytes(3)
    answer = _ask(ports, DESCRIBE_QUORUM, 0, b"\0" + body)
    return int(struct.unpack_from(">i", answer, LEADER_AT)[0]) - 1


def coordinator(ports: list[int], kind: Literal["group", "transaction"], name: str) -> int:
    """The number of the broker that coordinates a group or a transactional id.

    Raises:
        OSError: None answers, or there is none at this moment.
    """
    body = struct.pack(">h", len(name)) + name.encode() + bytes((KINDS[kind],))
    answer = _ask(ports, FIND_COORDINATOR, 2, body)
    error, length = struct.unpack_from(">hh", answer, 8)
    node = int(struct.unpack_from(">i", answer, 12 + max(length, 0))[0])
    if error or node < 1:
        raise OSError(f"no coordinator of {name}: error {error}")
    return node - 1


def _ask(ports: list[int], api: int, version: int, body: bytes) -> bytes:
    request = struct.pack(">hhih", api, version, 1, 5) + b"chaos" + body
    for port in ports:
        try:
            with socket.create_connection((HOST, port), TIMEOUT_S) as connection:
                connection.settimeout(TIMEOUT_S)
                connection.sendall(struct.pack(">i", len(request)) + request)
                file = connection.makefile("rb")
                (length,) = struct.unpack(">i", file.read(4))
                return file.read(length)
        except (OSError, struct.error):
            continue
    raise OSError(f"no broker answers at {ports}")
