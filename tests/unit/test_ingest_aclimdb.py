"""Claims about the aclImdb archive: what is read of it, and that nothing in it does harm."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from sentiment.errors import InputError
from trainer.params import Columns
from trainer.readers import MAX_MEMBER_BYTES, Cells, Fault, rows

URLS = "http://www.imdb.com/title/tt000{}/usercomments\n"


def member(name: str, content: bytes = b"", **fields: bytes | str) -> tuple[tarfile.TarInfo, bytes]:
    """A member of an archive; a regular file unless the fields say otherwise."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def review(place: str, text: str) -> tuple[tarfile.TarInfo, bytes]:
    """A review in its place, such as `train/pos/0_9`."""
    return member(f"aclImdb/{place}.txt", text.encode())


def pack(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """Write an archive."""
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


def read(path: Path) -> list[tuple[int, Cells | Fault]]:
    """All rows of an archive."""
    return list(rows(path, "aclimdb", Columns(), path.name))


def tiny(path: Path) -> Path:
    """Four reviews of three films, packed in no order, with the rest of what the real one has."""
    return pack(
        path,
        member("aclImdb/README", b"Large Movie Review Dataset"),
        member("aclImdb/train/pos", type=tarfile.DIRTYPE),
        review("train/pos/1_10", "Superb."),
        review("train/pos/0_9", "Bromwell High is a cartoon comedy."),
        review("train/unsup/0_0", "No label."),
        review("test/neg/0_2", "Once again."),
        member("aclImdb/train/urls_pos.txt", (URLS.format(1) + URLS.format(2)).encode()),
        review("train/neg/0_3", "Story of a man."),
        member("aclImdb/train/urls_neg.txt", URLS.format(3).encode()),
        member("aclImdb/train/labeledBow.feat", b"9 0:9"),
    )


def test_reviews_come_with_label_film_and_part(tmp_path: Path) -> None:
    """The folder is the label, the line of the id names the film, the test part stays apart."""
    assert read(tiny(tmp_path / "aclImdb_v1.tar.gz")) == [
        (1, ("Once again.", "neg", None, None, "test")),
        (2, ("Story of a man.", "neg", "tt0003", None, "auto")),
        (3, ("Bromwell High is a cartoon comedy.", "pos", "tt0001", None, "auto")),
        (4, ("Superb.", "pos", "tt0002", None, "auto")),
    ]


def test_an_uncompressed_archive_is_read_too(tmp_path: Path) -> None:
    """What compresses it doesn't matter."""
    packed = tiny(tmp_path / "a.tar.gz")
    plain = tmp_path / "a.tar"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    assert read(plain) == read(packed)


def test_hostile_members_are_passed_over_and_nothing_is_written(tmp_path: Path) -> None:
    """Absolute paths, `..`, links, devices and odd names are no reviews, and touch no disk."""
    victim = tmp_path / "victim.txt"
    victim.write_text("untouched")
    target, other = str(victim), "aclImdb/train/pos/0_9.txt"
    before = sorted(tmp_path.iterdir())
    path = pack(
        tmp_path / "a.tar.gz",
        member(str(victim), b"overwritten"),
        member("../victim.txt", b"overwritten"),
        member("aclImdb/train/pos/../../../victim.txt", b"overwritten"),
        member("/aclImdb/train/pos/2_9.txt", b"absolute"),
        member("./aclImdb/train/pos/3_9.txt", b"elsewhere"),
        member("aclImdb/train/pos/4_9.txt\n", b"line end"),
        member("aclImdb/train/pos/\u0665_9.txt", b"another digit"),
        member(f"aclImdb/train/pos/{'1' * 5000}_9.txt", b"huge name"),
        member("aclImdb/train/pos/5_9.txt", type=tarfile.SYMTYPE, linkname=target),
        member("aclImdb/train/pos/6_9.txt", type=tarfile.LNKTYPE, linkname=other),
        member("aclImdb/train/pos/7_9.txt", type=tarfile.CHRTYPE),
        member("aclImdb/train/pos/8_9.txt", type=tarfile.FIFOTYPE),
        review("train/pos/0_9", "The only one."),
    )
    assert [row[0] for _, row in read(path)] == ["The only one."]
    assert victim.read_text() == "untouched"
    assert sorted(tmp_path.iterdir()) == sorted([*before, path])


def test_a_name_that_claims_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    """The archive ends in a sentence before memory does."""
    head = tarfile.TarInfo("././@LongLink")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, 4 * 1024**3
    path = tmp_path / "a.tar"
    path.write_bytes(head.tobuf(tarfile.GNU_FORMAT) + b"x" * 10_000)
    with pytest.raises(InputError, match="claims to have 4,294,967,296 bytes"):
        read(path)


def test_a_review_that_is_no_review_is_a_bad_row(tmp_path: Path) -> None:
    """One far too long, and one that is no UTF-8, are counted with the name of the member."""
    path = pack(
        tmp_path / "a.tar.gz",
        member("aclImdb/train/pos/0_9.txt", b"x" * (MAX_MEMBER_BYTES + 1)),
        member("aclImdb/train/pos/1_9.txt", b"caf\xe9"),
        review("train/pos/2_9", "Good."),
    )
    assert [row[:2] for _, row in read(path)] == [
        ("too_long", "aclImdb/train/pos/0_9.txt: 1,048,577 bytes"),
        ("not_utf8", "aclImdb/train/pos/1_9.txt: caf\\xe9"),
        ("Good.", "pos"),
    ]


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_an_archive_that_is_cut_off_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    """Half an archive never passes for a whole one, wherever it was cut."""
    whole = tiny(tmp_path / "whole.tar.gz").read_bytes()
    # Without the zeros that fill up its last block of 10 kB.
    content = whole if suffix == "tar.gz" else gzip.decompress(whole)[: 512 * 19]
    path = tmp_path / f"cut.{suffix}"
    # Between two members, where nothing but the missing end tells.
    path.write_bytes(content[: int(len(content) * kept) // 512 * 512])
    with pytest.raises(InputError, match="can't be read as aclimdb"):
        read(path)


def test_a_damaged_head_in_the_middle_is_no_end(tmp_path: Path) -> None:
    """Members behind a damaged head are not left out silently."""
    content = bytearray(gzip.decompress(tiny(tmp_path / "a.tar.gz").read_bytes()))
    at = content.index(b"aclImdb/train/neg/0_3.txt")
    content[at] ^= 1
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged in the middle"):
        read(path)


def test_something_else_is_refused(tmp_path: Path) -> None:
    """A text file is no archive."""
    path = tmp_path / "a.tar.gz"
    path.write_text("<html>Not found</html>" * 100)
    with pytest.raises(InputError, match="can't be read as aclimdb"):
        read(path)
