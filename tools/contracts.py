"""Who may import whom, for every package beside `pyproject.toml`: a contract of import-linter.

An app, which an entry point of `sentiment.apps` names, imports the library and no other app; the
library imports none; nothing installed imports another package: it is for developers.
"""

import tomllib
from pathlib import Path

import grimp
from importlinter.contracts.layers import Layer, LayerField, LayersContract, ModuleTail
from importlinter.domain import fields
from importlinter.domain.contract import ContractCheck

ROOT = Path(__file__).parents[1]
LIBRARY = "sentiment"


def packages(root: Path = ROOT) -> tuple[set[str], set[str]]:
    """The apps in a folder, and what only developers have."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["sentiment.apps"].values()
    apps = {point.partition(":")[0].partition(".")[0] for point in points} - {LIBRARY}
    there = {path.parent.name for path in root.glob("*/__init__.py")}
    return apps, there - apps - {LIBRARY, "tests"}


class AppsContract(LayersContract):
    """Developers' packages above apps that are apart from each other, above the library."""

    type_name = "apps"
    layers = fields.ListField(subfield=LayerField(), default=[])

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:  # noqa: FBT001 - the base class's signature
        """Look at all packages, whichever ones the other contracts are about."""
        del graph
        apps, others = packages()
        self.layers = [  # type: ignore[assignment]  # it is declared as what parses it
            Layer({ModuleTail(name) for name in others}, is_independent=False),
            Layer({ModuleTail(name) for name in apps}),
            Layer({ModuleTail(LIBRARY)}),
        ]
        return super().check(grimp.build_graph(LIBRARY, *apps, *others, cache_dir=None), verbose)
