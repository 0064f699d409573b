"""What `sentiment classify` reads: JSON Lines and Parquet, in constant memory."""

from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path

from sentiment import events
from sentiment.commands.classifier import Numbered
from sentiment.errors import InputError
from sentiment.event_errors import EventError
from sentiment.events import TextEvent

# About 1,000 texts of a tweet's length: enough that a batch costs little more than its texts.
CHUNK_BYTES = 256 * 1024
# The same of Parquet, whose rows are read by number.
BATCH_ROWS = 1000
# Columns of a Parquet file that mean what the fields of an event mean.
OPTIONAL = ("id", "source")


def json_lines(stream: BufferedIOBase, max_bytes: int) -> Iterator[Numbered]:
    """The lines of a stream, as soon as they are there; empty ones are left out.

    Args:
        stream: May be a pipe that somebody still writes to.
        max_bytes: A longer line is a bad one.

    Raises:
        InputError: The stream can't be read.
    """
    number = 0
    for lines in read_lines(stream, max_bytes):
        numbered = enumerate(lines, number + 1)
        number += len(lines)
        yield [(at, _decode(line, max_bytes)) for at, line in numbered if line.strip()]


def parquet_rows(path: Path, text: str, max_bytes: int) -> Iterator[Numbered]:
    """The rows of a Parquet file.

    Args:
        path: The file.
        text: The column of the texts.
        max_bytes: A longer text is a bad one.

    Raises:
        InputError: It is no such file, or has no such column.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            present = file.schema_arrow.names
            if text not in present:
                raise InputError(
                    f"{path} has no column {text!r}; it has {', '.join(map(repr, present))}.",
                    "Name the right one with --text-column.",
                )
            columns = [text, *(name for name in OPTIONAL if name in present and name != text)]
            number = 0
            for batch in file.iter_batches(BATCH_ROWS, columns=columns):
                rows = zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
                names = ("text", *columns[1:])
                yield [
                    (at, _convert(dict(zip(names, row, strict=True)), max_bytes))
                    for at, row in enumerate(rows, number + 1)
                ]
                number += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} can't be read as Parquet: {error}.") from None


def read_lines(stream: BufferedIOBase, max_bytes: int) -> Iterator[list[bytes]]:
    """The lines of a stream, in batches.

    Args:
        stream: As above.
        max_bytes: Of a longer line, only the beginning is kept: enough to see that it is longer.

    Raises:
        InputError: The stream can't be read.
    """
    rest = b""
    while chunk := _read(stream):
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[: max_bytes + 1]
        yield lines
    if rest:
        yield [rest]


def _read(stream: BufferedIOBase) -> bytes:
    try:
        return stream.read1(CHUNK_BYTES)
    except OSError as error:
        raise InputError(f"The input can't be read: {error}") from error


def _decode(line: bytes, max_bytes: int) -> TextEvent | EventError:
    if len(line) > max_bytes:
        return EventError("too_large", f"more than {max_bytes} bytes")
    try:
        return events.decode_event(line)
    except EventError as error:
        return error


def _convert(fields: dict[str, object], max_bytes: int) -> TextEvent | EventError:
    text = fields["text"]
    # A character is at most four bytes, so that most texts needn't be encoded to be measured.
    if isinstance(text, str) and len(text) * 4 > max_bytes < len(text.encode()):
        return EventError("too_large", f"more than {max_bytes} bytes")
    try:
        return events.convert_event(fields)
    except EventError as error:
        return error
