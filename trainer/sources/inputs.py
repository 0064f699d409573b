"""The files of a source: found in a folder, or fetched from S3 or the web."""

import hashlib
import re
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sentiment.errors import InputError
from sentiment.registry.artifact import sha256_of
from trainer.params import S3, Source
from trainer.progress import Say
from trainer.sources import downloads
from trainer.sources.readers import SUFFIXES, Format, format_of
from trainer.sources.s3 import SCHEME, Store, parse

# Of a remote file's name, what its copy here keeps; file systems take 255 bytes.
NAME_CHARS = 80


class Input(NamedTuple):
    """A file to read.

    Attributes:
        name: What reports call it; the same on every machine.
        path: Where it is.
        sha256: Its checksum.
        format: How it is written.
    """

    name: str
    path: Path
    sha256: str
    format: Format


def inputs(source: Source, s3: S3, root: Path, cache: Path, say: Say) -> list[Input]:
    """The files of a source, in the order of their names.

    Args:
        source: Its `uri` is a file or folder, an object or prefix of S3, or an address.
        s3: How S3 is reached.
        root: What a relative file or folder is below.
        cache: Where remote files are kept.
        say: Told of downloads.

    Raises:
        InputError: There are none, or one is not what the source says.
        SentimentError: One can't be fetched.
    """
    if source.uri.startswith(SCHEME):
        with Store(s3) as store:
            return _from_s3(source, store, cache, say)
    if source.uri.startswith(("http://", "https://")):
        return _from_web(source, cache, say)
    return _from_disk(source, root, say)


def _from_disk(source: Source, root: Path, say: Say) -> list[Input]:
    uri = Path(source.uri)
    # An absolute one stays what it is; no report names the folders above it.
    path, title = root / uri, uri.name if uri.is_absolute() else uri.as_posix()
    files = {title: path}
    if path.is_dir():
        below = {found.relative_to(path).as_posix(): found for found in path.rglob("*")}
        files = {
            f"{title}/{name}": found
            for name, found in sorted(below.items())
            # Hidden ones are other programs' own.
            if found.is_file() and not re.search(r"(^|/)\.", name)
        }
    elif not path.is_file():
        raise InputError(
            f"Source {source.name!r}: there is no file or folder {path}.",
            "" if uri.is_absolute() else "Its `uri` is below --root (SENTIMENT_DATA).",
        )
    found = []
    for name, form in _chosen(source, list(files), say, many=path.is_dir()):
        try:
            sha256 = sha256_of(files[name])
        except OSError as error:
            raise InputError(f"{files[name]} can't be read: {error.strerror}.") from error
        if source.sha256 not in {None, sha256}:
            raise InputError(
                f"{files[name]} has the SHA-256 {sha256}, not {source.sha256} as params.yaml says.",
                "It is another version, or damaged. If it is the right one, change `sha256`.",
            )
        found.append(Input(name, files[name], sha256, form))
    return found


def _from_s3(source: Source, store: Store, cache: Path, say: Say) -> list[Input]:
    _, key = parse(source.uri)
    many = not key or key.endswith("/")
    names = store.names(source.uri) if many else [source.uri]
    # The same address in another S3 is another object.
    owner = store.params.endpoint or ""

    found = []
    for name, form in _chosen(source, names, say, many=many):
        target = _target(cache, f"{owner} {name}", name)
        sha256 = downloads.fetch(name, partial(store.read, name), target, source.sha256, say)
        found.append(Input(name, target, sha256, form))
    return found


def _from_web(source: Source, cache: Path, say: Say) -> list[Input]:
    name = downloads.shown(source.uri)
    if source.sha256 is None:
        raise InputError(
            f"Source {source.name!r}: {name} needs a `sha256` in params.yaml.",
            "What an address answers may change; `sha256sum` gives that of a file you trust.",
        )
    ((_, form),) = _chosen(source, [name], say, many=False)
    target = _target(cache, source.uri, name)
    sha256 = downloads.fetch(
        name, partial(downloads.read_web, source.uri), target, source.sha256, say
    )
    return [Input(name, target, sha256, form)]


def _chosen(source: Source, names: list[str], say: Say, *, many: bool) -> list[tuple[str, Format]]:
    """Those that can be read: of many the ones whose names say so."""
    if not many and source.format != "auto":
        return [(name, source.format) for name in names]
    forms = ((name, format_of(name, source.format)) for name in names)
    found = [(name, form) for name, form in forms if form]
    uri = downloads.shown(source.uri) if "://" in source.uri else source.uri
    if not found:
        ends = ", ".join(SUFFIXES)
        raise InputError(
            f"Source {source.name!r}: {uri} "
            + (
                f"has no file that can be read, out of {len(names):,}."
                if many
                else "has no known format."
            ),
            f"Names end in {ends}, with or without .gz; `format` in params.yaml says it of a single"
            " file, and `aclimdb` always has to be said.",
        )
    others = sorted(set(names) - {name for name, _ in found})
    if others:
        say(f"{source.name}: leaving out {len(others):,} of {len(names):,} files, as {others[0]}")
    if source.sha256 and len(found) > 1:
        raise InputError(
            f"Source {source.name!r}: one `sha256` can't be that of the {len(found)} files in"
            f" {uri}.",
            "Leave it out, or name a single file.",
        )
    return found


def _target(cache: Path, identity: str, name: str) -> Path:
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return cache / f"{key}-{re.sub(r'[^A-Za-z0-9._-]', '_', name.rpartition('/')[2])[-NAME_CHARS:]}"
