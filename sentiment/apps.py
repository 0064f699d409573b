"""Apps as they register themselves: the commands, settings, metrics, rights and topics of each.

An app's package has an object `APP`. The entry point that names it, in the group `sentiment.apps`,
is all that anybody else knows of the app: the command line, the tables in the documents and the
users in `k8s/` are made from it. The library's own are registered in `sentiment.commands`.
"""

import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal

from sentiment import logs

if TYPE_CHECKING:  # what is registered is imported when it is asked for
    from sentiment.kafka.topics import Topic
    from sentiment.metrics import Metric
    from sentiment.settings import Section, Settings

GROUP = "sentiment.apps"
LIBRARY = "sentiment"

log = logs.get(__name__)

# Rights as brokers know them: an operation on a named thing.
Operation = Literal["READ", "WRITE", "CREATE", "DESCRIBE"]
Resource = Literal["topic", "group", "transactional id"]


@dataclass(frozen=True)
class Right:
    """One thing that a part of an app does on brokers with ACLs."""

    part: str  # of an app; each has a user of its own
    operation: Operation  # to read or write includes to describe
    resource: Resource
    setting: str  # holds the resource's name
    suffix: str = ""  # follows it in the name; a star at the end stands for anything

    def name(self, settings: "Settings") -> str:
        """The name of the thing; a `KeyError` where no section has the setting."""
        for section in sections():
            prefix = str(section.model_config.get("env_prefix"))
            name = self.setting.removeprefix(prefix).lower()
            if self.setting.startswith(prefix) and name in section.model_fields:
                return f"{getattr(settings.of(section), name)}{self.suffix}"
        raise KeyError(self.setting)


@dataclass(frozen=True)
class App:
    """What an app brings.

    What has to be imported is named, as `package.module:object`: asking one app for its commands
    doesn't load the libraries of all others.
    """

    # Subcommands of `sentiment` by their names: click commands.
    commands: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[str, ...] = ()  # subclasses of `Section`
    metrics: tuple[str, ...] = ()  # objects of `Metrics`
    rights: tuple[Right, ...] = ()
    # Functions from `Settings` to `Topic`s of its own, beside those of the wire.
    topics: tuple[str, ...] = ()


@cache
def installed() -> tuple[App, ...]:
    """Every app that can be loaded, the library first; one that can't is named in the log."""
    points = sorted(entry_points(group=GROUP), key=lambda p: (p.name != LIBRARY, p.name))
    found = []
    for point in points:
        try:
            app = point.load()
            if isinstance(app, App):
                found.append(app)
            else:
                _left_out(point.value, TypeError(f"no App but a {type(app).__name__}"))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others work
            _left_out(point.value, error)
    return tuple(found)


def _left_out(value: str, error: Exception) -> None:
    log.warning("broken app left out", loads=value, reason=f"{type(error).__name__}: {error}")


def commands() -> dict[str, str]:
    """Where each subcommand is, by its name; of two with one name, the library's or the first."""
    found: dict[str, str] = {}
    for app in installed():
        for name, place in app.commands.items():
            if found.setdefault(name, place) != place:
                _left_out(place, ValueError(f"{found[name]} is {name!r} already"))
    return found


def sections() -> list[type["Section"]]:
    """All sections of the settings."""
    return list(_each(app.settings for app in installed()))


def metrics() -> list["Metric"]:
    """All rows of the tables of metrics."""
    return [row for table in _each(app.metrics for app in installed()) for row in table.rows]


def rights(part: str | None = None) -> list[Right]:
    """All rights, or those of one part."""
    return [r for app in installed() for r in app.rights if part in {None, r.part}]


def topics(settings: "Settings") -> list["Topic"]:
    """The topics of the apps beside those of the wire."""
    made: Iterator[Callable[[Settings], list[Topic]]] = _each(app.topics for app in installed())
    return [topic for make in made for topic in make(settings)]


def _each(places: Iterable[tuple[str, ...]]) -> Iterator[Any]:
    """The objects at all places but those that can't be loaded, which the log names."""
    for place in (place for own in places for place in own):
        try:
            yield pkgutil.resolve_name(place)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others work
            _left_out(place, error)
