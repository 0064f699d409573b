"""Native code ahead of time, for an image: `python -m sentiment.model.compiled.aot DIRECTORY`.

Writes the extension module that `native` looks for, for any processor of this kind. It takes Numba,
setuptools and a compiler of C and C++; what it makes takes none of them.
"""

import logging
import sys
from pathlib import Path
from typing import Any

from numba import types
from numba.core import compiler, config
from numba.pycc import CC, compiler as pycc

from sentiment.model.compiled import build, explain, loop, native
from sentiment.model.compiled.linear import read
from sentiment.model.compiled.scorer import CompiledScorer
from sentiment.model.formats.scikit_learn import load_pipeline
from sentiment.registry.publish import bundled_model

# What Python calls.
FUNCTIONS: tuple[Any, ...] = (
    build.extended,
    build.fill,
    build.finished,
    build.hashed,
    explain.explain,
    loop.coverage,
    loop.score,
)


def make(directory: Path) -> Path:
    """Compile all that Python calls, and what that calls, into one module.

    Args:
        directory: Where the module goes.

    Returns:
        The module's file.
    """
    # No instruction that only the builder's processor knows.
    config.CPU_NAME = "generic"
    _call_all()
    module = CC(native.MODULE, source_module=native)
    module.output_dir = str(directory)
    for function in FUNCTIONS:
        # More than one would be an array of another layout, which the module could not tell apart.
        (signature,) = function.nopython_signatures
        as_called = signature.return_type(*map(_without_names, signature.args))
        module.export(function.__name__, as_called)(function.py_func)
    # It has no option for it.
    pycc.Flags = _flags
    module.compile()
    return directory / module.output_file


def _call_all() -> None:
    """Let Numba see what each function is called with."""
    scorer = CompiledScorer(build.build(read(load_pipeline(bundled_model()))))
    text = ["Not a bad word about it."]
    scorer.score(text)
    scorer.coverage(text)
    scorer.explain(text)


def _without_names(kind: Any) -> Any:
    """A named tuple's type needs its class, and with it Numba, when it is called."""
    return types.Tuple(kind.types) if isinstance(kind, types.BaseNamedTuple) else kind


def _flags() -> Any:
    """As pycc makes them, and other threads run while native code does."""
    flags = compiler.Flags()
    flags.release_gil = True
    return flags


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    print(make(Path(sys.argv[1])))  # noqa: T201 - the command's answer
