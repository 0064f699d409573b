"""A model directory's MLmodel file: read within bounds, and the format and file that it names."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sentiment import limited
from sentiment.errors import ModelRefusedError
from sentiment.model.formats import format as formats
from sentiment.model.formats.format import Format, NotServableError
from sentiment.model.scorer import Scorer

# The file that makes a folder a model directory.
MARK = "MLmodel"
# Ours have 1.4 KiB; a long signature is a few more.
MOST_MLMODEL = 65_536
# Of a model's file: the bundled one has 8 MiB.
MOST_FILE = 64 << 20

_REFUSED_HINT = "Publish a model made by `sentiment release`, or go back with `sentiment rollback`."
# A plain name, of a file beside the MLmodel.
_PLAIN = re.compile(r"\w[\w.-]{0,99}", re.ASCII)


class ModelFile(NamedTuple):
    """What a model directory holds.

    Attributes:
        directory: The directory.
        format: What opens its file.
        path: The file, a plain one.
    """

    directory: Path
    format: Format[Any]
    path: Path

    def open(self, trusted: Sequence[str] = ()) -> Scorer:
        """Open the file in this process: for a model of one's own, or one that has been checked.

        Args:
            trusted: See `Format.open`.

        Raises:
            ModelRefusedError: It can't be opened.
        """
        try:
            opened: Scorer = self.format.open(self.path, trusted)
        except NotServableError as error:
            raise refused(self.directory, str(error)) from error
        except MemoryError:
            raise
        except Exception as error:
            raise refused(self.directory, f"{type(error).__name__}: {error}") from error
        return opened


def find(directory: Path) -> ModelFile:
    """The format of a model directory, and the file that it opens.

    Raises:
        ModelRefusedError: No format that there is, no such file, or too large a one.
    """
    found, name = _named(directory)
    file = directory / name if _is_plain(name) else None
    if file is None or not file.is_file() or file.is_symlink():
        raise refused(directory, f"it has no file {name!r:.80}")
    if file.stat().st_size > MOST_FILE:
        raise refused(directory, f"it has more than {MOST_FILE >> 20} MiB")
    return ModelFile(directory, found, file)


def missing_file(directory: Path) -> str:
    """The file that a model directory can't be without, and is; empty where there is none."""
    if not (directory / MARK).is_file():
        return MARK
    try:
        _, name = _named(directory)
    except ModelRefusedError:
        # Of no format that we know: that is another complaint.
        return ""
    return str(name) if _is_plain(name) and not (directory / name).is_file() else ""


def metadata(directory: Path) -> dict[str, str]:
    """What `sentiment release` noted in a model directory: names and digests of data, figures.

    Raises:
        ModelRefusedError: Its MLmodel can't be read.
    """
    noted = _read(directory).get("metadata")
    return {str(k): str(v) for k, v in noted.items()} if isinstance(noted, dict) else {}


def refused(directory: Path, reason: str) -> ModelRefusedError:
    """The error for a model directory that can't be served."""
    return ModelRefusedError(
        f"Model refused ({directory}): {limited.one_line(reason)}.", _REFUSED_HINT
    )


def _named(directory: Path) -> tuple[Format[Any], Any]:
    """The format of a directory, and what is said to be the name of its file."""
    flavors = _read(directory).get("flavors")
    if not isinstance(flavors, dict):
        flavors = {}
    known = formats.known()
    flavour = next((flavour for flavour in known if flavour in flavors), None)
    if flavour is None:
        told = ", ".join(map(str, flavors))[: limited.MOST_REASON // 2] or "none"
        raise refused(
            directory,
            f"its MLmodel names no format that is served ({', '.join(known)}), but {told}",
        )
    try:
        found = formats.named(flavour)
    except Exception as error:
        # Of another package, whose code may fail in any way.
        reason = f"its format {flavour!r} can't be loaded: {type(error).__name__}: {error}"
        raise refused(directory, reason) from error
    options = flavors[flavour]
    try:
        return found, found.file_name(options if isinstance(options, dict) else {})
    except NotServableError as error:
        raise refused(directory, str(error)) from error


def _is_plain(name: object) -> bool:
    return type(name) is str and bool(_PLAIN.fullmatch(name))


def _read(directory: Path) -> dict[str, Any]:
    import yaml

    class Loader(yaml.BaseLoader):
        """Texts, lists and maps alone, each written out: a few aliases of aliases are gigabytes."""

        def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - PyYAML's
            if self.check_event(yaml.AliasEvent):
                raise ValueError("it has aliases")
            return super().compose_node(parent, index)

    try:
        content = limited.read(directory / MARK, MOST_MLMODEL)
        document = yaml.load(content, Loader)  # noqa: S506 - the safest loader of all
    except Exception as error:
        # Of the file system or of YAML, or nested too deeply.
        reason = limited.one_line(f"{type(error).__name__}: {error}")
        raise refused(directory, f"it has no readable MLmodel file ({reason})") from error
    if not isinstance(document, dict):
        raise refused(directory, "its MLmodel file is empty or something else")
    return document
