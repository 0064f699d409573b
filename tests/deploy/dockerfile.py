"""Reads the Dockerfile as far as the tests ask for it; hadolint says whether it is one."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Instruction(NamedTuple):
    """A word such as `COPY`, and what follows it."""

    word: str
    rest: str


class Stage(NamedTuple):
    """From one `FROM` to the next."""

    name: str
    base: str
    instructions: list[Instruction]

    def all(self, word: str) -> list[str]:
        """What follows each instruction of a kind."""
        return [it.rest for it in self.instructions if it.word == word]


def stages() -> dict[str, Stage]:
    """The stages by name, in their order."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found: dict[str, Stage] = {}
    current: Stage | None = None
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.split()
            current = found[name] = Stage(name, base, [])
        elif current is not None:
            current.instructions.append(Instruction(word, rest.strip()))
    return found


def chain(name: str) -> list[Stage]:
    """A stage and the stages that it is made from, the first one first."""
    known = stages()
    stage = known[name]
    return [*(chain(stage.base) if stage.base in known else []), stage]


def copies(stage: Stage) -> list[tuple[str, list[str]]]:
    """Of each COPY, the stage that it takes from (empty: the project), and the sources."""
    found = []
    for rest in stage.all("COPY"):
        words = rest.split()
        taken_from = ""
        if words[0].startswith("--from="):
            taken_from = words.pop(0).removeprefix("--from=")
        found.append((taken_from, words[:-1]))
    return found


def environment(name: str) -> dict[str, str]:
    """The variables that a container of a target has."""
    return {
        key: value
        for stage in chain(name)
        for rest in stage.all("ENV")
        for key, _, value in (pair.partition("=") for pair in shlex.split(rest))
    }


def requirements(name: str) -> list[str]:
    """The locked files that a target's dependencies come from."""
    return [
        file
        for rest in stages()[f"{name}-dependencies"].all("RUN")
        for file in re.findall(r"-r (\S+)", rest)
    ]
