"""Records and batches that no honest producer sends, made up from a seed."""

import random
from collections.abc import Callable
from pathlib import Path

from aiokafka import codec

from sentiment import wire
from tests.integration import raw_records
from tests.integration.raw_records import Header, batch, record

SEEDS = [path.read_bytes() for path in sorted((Path(__file__).parent / "seeds").iterdir())]
GOOD = b'{"text":"a good film","id":"%d"}'
# Three of them still fit into a record of Kafka's default megabyte.
HUGE = 300_000
NAMES = (
    b"", b"\0", b"a\0b", b"\xff\xfe", b"\xed\xa0\x80", b"n" * 70_000, b"traceparent", b"ce_id",
    b"ce_" + b"n" * 300, b"ce_data", wire.UNREADABLE_HEADERS.encode(),
    *(name.encode() for name in sorted(wire.ERROR_HEADERS)),
)  # fmt: skip
# In milliseconds: none, the ends of 64 bits and of what Python's clock has, before and after 1970.
TIMES = (-1, -(2**63), 2**63 - 1, -2, 0, 1, -62_135_596_800_001, 253_402_300_800_000, 2**53)
CODECS: dict[int, Callable[[bytes], bytes]] = {
    raw_records.PLAIN: bytes,
    raw_records.GZIP: codec.gzip_encode,
    raw_records.SNAPPY: codec.snappy_encode,
    raw_records.LZ4: codec.lz4_encode,
    raw_records.ZSTD: codec.zstd_encode,
}
# Of a batch's attributes: the broker's own time, in a transaction, a marker's, and none of Kafka's.
ATTRIBUTES = (0x08, 0x10, 0x20, 0x30, 0x40, 0x80, 0x4000)


class Hostile:
    """Makes them up; the same seed makes up the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - to be had again, not to be guessed

    def batch(self, now_ms: int) -> tuple[bytes, int]:
        """A batch, mostly of now, and how many records it is said to have; brokers take most."""
        dice = self._random
        count = dice.choice((1, 1, 2, 5, 50))
        records = b"".join(self._record(number) for number in range(count))
        compression = dice.choice(list(CODECS))
        packed = CODECS[compression](records)
        trick = dice.random()
        if trick < 0.1:
            packed = self._changed(packed)
        elif trick < 0.15:
            packed = CODECS[dice.choice(list(CODECS))](packed)
        elif trick < 0.2:
            compression = dice.choice((*CODECS, 5, 7)) | dice.choice(ATTRIBUTES)
        elif trick < 0.25:
            count += dice.choice((-1, 1, 1000, 2**31 - 1 - count))
        time_ms = dice.choice(TIMES) if dice.random() < 0.2 else now_ms
        return batch(packed, count, compression, time_ms), count

    def _record(self, number: int) -> bytes:
        return record(self.value(), self._key(), self.headers(), number)

    def value(self) -> bytes | None:
        """A value: an event, one of the decoder's seeds, or less."""
        dice = self._random
        return dice.choice((
            lambda: None,
            lambda: GOOD % dice.randrange(2**31),
            lambda: GOOD % dice.randrange(2**31),
            lambda: dice.choice(SEEDS),
            lambda: self._changed(dice.choice(SEEDS)),
            lambda: dice.randbytes(dice.choice((0, 1, 100))),
            lambda: b"[" * dice.choice((1000, 60_000)),
            lambda: b'{"text":"%s"}' % (b"good " * dice.choice((10_000, 20_000))),
        ))()  # fmt: skip

    def _key(self) -> bytes | None:
        dice = self._random
        huge = dice.random() < 0.01
        return b"k" * HUGE if huge else dice.choice((None, b"", b"\0", b"\xff\xfe", b"k", b"\n"))

    def headers(self) -> tuple[Header, ...]:
        """Some headers, of which others may have the same name."""
        dice = self._random
        count = dice.choice((0, 0, 0, 1, 3, 3)) if dice.random() < 0.99 else 3000
        names = NAMES if count < 100 else NAMES[:5]
        return tuple((dice.choice(names), self._header()) for _ in range(count))

    def _header(self) -> bytes | None:
        dice = self._random
        if dice.random() < 0.002:
            return b"v" * HUGE
        return dice.choice((None, b"", b"v", b"\0", b"\xff\xfe", b"9" * 5000, dice.randbytes(20)))

    def _changed(self, content: bytes) -> bytes:
        """Cut off, or with other bytes in one place, or with more at the end."""
        dice = self._random
        place = dice.randrange(len(content) + 1)
        return dice.choice((
            content[:place],
            content[:place] + dice.randbytes(2) + content[place + 2 :],
            content + dice.randbytes(3),
        ))  # fmt: skip
