"""The Large Movie Review Dataset as its authors publish it, read straight from the archive.

`aclImdb/{train,test}/{pos,neg}/<id>_<rating>.txt` are the reviews, and line `id` of
`aclImdb/{train,test}/urls_{pos,neg}.txt`, counted from 0, is the page of the film. Nothing in the
archive is ever written to a disk, so no member's name can lead anywhere. Whatever else is in it is
passed over, the unlabelled reviews among it.

Source: Maas et al. 2011, "Learning Word Vectors for Sentiment Analysis",
https://ai.stanford.edu/~amaas/data/sentiment/
"""

import re
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from sentiment.rows import excerpt
from trainer.sources.examples import Cells, Fault, Split

# The longest review has 14 kB, the longest list of addresses 600 kB.
MAX_MEMBER_BYTES = 1024 * 1024

# What the labels of `rows` mean.
LABELS = {"neg": 0, "pos": 1}

_REVIEW = re.compile(r"aclImdb/(train|test)/(pos|neg)/([0-9]{1,9})_[0-9]{1,2}\.txt")
_ADDRESSES = re.compile(r"aclImdb/(train|test)/urls_(pos|neg)\.txt")
_FILM = re.compile(r"/title/(tt[0-9]+)")


class _Bounded:
    """An archive of which nobody gets more at a time than a member may have.

    `tarfile` reads a member's long name whole, however long the archive says that it is.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek = stream.seek
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        if size > MAX_MEMBER_BYTES:
            raise tarfile.ReadError(f"a part of it claims to have {size:,} bytes")
        return self._stream.read(size)


def rows(stream: BinaryIO) -> Iterator[Cells | Fault]:
    """The labelled reviews in the order of their part, label and id, however they were packed.

    Labels are those of `LABELS`. The group is IMDb's id of the film, where there is one. The split
    of the official test part is `test`, that of the train part `auto`.

    Args:
        stream: The archive, uncompressed.

    Raises:
        OSError: It is none, or damaged.
    """
    reviews, films = _contents(stream)
    for (part, label, number), text in reviews:
        if isinstance(text, Fault):
            yield text
            continue
        addresses = films.get((part, label), [])
        film = _FILM.search(addresses[number]) if number < len(addresses) else None
        split: Split = "test" if part == "test" else "auto"
        yield Cells(text, label, film[1] if film else None, None, split)


def _contents(
    stream: BinaryIO,
) -> tuple[
    list[tuple[tuple[str, str, int], str | Fault]],
    dict[tuple[str, str], list[str]],
]:
    reviews: list[tuple[tuple[str, str, int], str | Fault]] = []
    films: dict[tuple[str, str], list[str]] = {}
    bounded = cast("BinaryIO", _Bounded(stream))
    try:
        with tarfile.open(fileobj=bounded, mode="r:") as archive:
            for member in archive:
                # Folders, links and devices are no reviews, whatever their names.
                if not member.isreg():
                    continue
                if found := _REVIEW.fullmatch(member.name):
                    key = (found[1], found[2], int(found[3]))
                    reviews.append((key, _review(archive, member)))
                elif found := _ADDRESSES.fullmatch(member.name):
                    lines = _content(archive, member).decode("ascii", "replace").splitlines()
                    films[found[1], found[2]] = lines
            _require_end(stream, archive.offset)
    except tarfile.TarError as error:
        raise OSError(str(error)) from error
    return sorted(reviews, key=lambda review: review[0]), films


def _review(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str | Fault:
    if member.size > MAX_MEMBER_BYTES:
        return Fault("too_long", f"{member.name}: {member.size:,} bytes")
    content = _content(archive, member)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return Fault("not_utf8", f"{member.name}: {excerpt(content)}")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > MAX_MEMBER_BYTES:
        raise tarfile.ReadError(f"{member.name} has {member.size:,} bytes, which none of its has")
    file = archive.extractfile(member)
    # None only for what is no regular file.
    return file.read() if file else b""


def _require_end(stream: BinaryIO, offset: int) -> None:
    """`tarfile` takes a damaged head for the end of the archive; the true end is a block of NUL."""
    stream.seek(offset)
    block = stream.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE or any(block):
        raise tarfile.ReadError("it is cut off or damaged in the middle")
