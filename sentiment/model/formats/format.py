"""What a kind of model has to offer to be saved, checked, compiled and served.

A format is found by its flavour, the name under `flavors` in the MLmodel file that MLflow writes.
Ours are in `OURS`; those of other packages are entry points of the group `sentiment.formats`, with
the flavour as their name and a subclass of `Format` as their value.

What all formats have in common is not theirs to do: the model's file is named by a plain name, of
bounded size, opened first in a process with limits where nothing is unpickled, and put to the
probes (`sentiment.registry.artifact`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from sentiment.model.scorer import Scorer

if TYPE_CHECKING:
    from sentiment.model.compiled.table import Table

GROUP = "sentiment.formats"
# By flavour. Not entry points: the bundled model must open whatever is installed beside it.
OURS = {"sklearn": "sentiment.model.formats.scikit_learn:ScikitLearn"}

# What `open` gives: an own scorer, of which the other methods may know more.
Opened = TypeVar("Opened", bound=Scorer)


class NotServableError(Exception):
    """A model can't be served; the message says why."""


class Format(ABC, Generic[Opened]):
    """A kind of model. Made without arguments, and keeps nothing between calls.

    Attributes:
        flavour: Its name in MLmodel files.
        libraries: Modules that `open`, `check` and `compile` need. They are imported before a
            process gets its limits, so that these are for what is in a model's file.
        compiles: Whether a model can have a compiled form. If so, one that has none passes the
            gates before `champion` by force alone; if not, the gates ask for none.
    """

    flavour: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ()
    compiles: ClassVar[bool] = False

    @abstractmethod
    def file_name(self, options: Mapping[str, object]) -> object:
        """The name of the model's file, whose form is checked by who calls.

        Called by workers and commands in their own process, before anything else. Must not block,
        nor read any file.

        Args:
            options: What MLmodel says of the flavour: texts, lists and maps, by whoever made it.

        Raises:
            NotServableError: The model is stored in a way that isn't opened, as a pickle for one.
        """

    @abstractmethod
    def open(self, file: Path, trusted: Sequence[str] = ()) -> Opened:
        """Open a model's file.

        Called in a process with limits first; then, where it passed and has no compiled form, by a
        worker on the thread that loads models. The trainer calls it for models of its own. May
        block as long as those limits allow. Must check sizes before it allocates memory, and
        must never unpickle.

        Args:
            file: A plain file of at most `mlmodel.MOST_FILE` bytes.
            trusted: Names of types that the trainer trusts beside those that workers do.

        Raises:
            NotServableError: It can't be served. Whatever else is raised says the same.
        """

    @abstractmethod
    def save(
        self,
        model: Any,  # noqa: ANN401 - of whatever library
        directory: Path,
        *,
        trusted: Sequence[str],
        metadata: Mapping[str, str],
    ) -> None:
        """Write a model's file and its MLmodel, the same bytes for the same model.

        Called by the trainer alone. May block. The MLmodel needs a signature and an input example,
        as MLflow writes them; what differs from run to run is taken out of it by who calls.

        Args:
            model: What a candidate has fitted.
            directory: There, and empty.
            trusted: As for `open`.
            metadata: Facts that MLmodel keeps as they are.
        """

    def check(self, scorer: Opened) -> None:
        """Make sure that a model that was opened holds only what is known to be harmless.

        Called once, in the process with limits, before the probes. May block.

        Raises:
            NotServableError: It can't be served.
        """

    def compile(self, scorer: Opened) -> "Table":
        """The compiled form, where the format `compiles`.

        Called after the probes in the process with limits, and by the trainer. May block.

        Raises:
            NotCompilableError: Of `sentiment.model.compiled.linear`: it has none.
        """
        raise NotImplementedError

    def params(self, scorer: Opened) -> dict[str, object]:
        """How it was made, by name, for people.

        Called by the trainer alone, when it registers a model.
        """
        del scorer
        return {}


def known() -> dict[str, EntryPoint]:
    """Where each format is, by its flavour: ours first, which no other package replaces."""
    ours = {flavour: EntryPoint(flavour, place, GROUP) for flavour, place in OURS.items()}
    return ours | {
        point.name: point for point in entry_points(group=GROUP) if point.name not in ours
    }


def named(flavour: str) -> Format[Any]:
    """The format of that flavour; nothing of other formats is imported.

    Raises:
        KeyError: There is none.
    """
    made: Format[Any] = known()[flavour].load()()
    return made
