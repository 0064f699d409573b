"""Native code: what `aot` made, where an image brings it, else what Numba makes as it is needed.

What was made ahead of time is a module that needs neither Numba nor LLVM, a third of an image.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from sentiment.model.compiled.state import STATE

Function = TypeVar("Function", bound=Callable[..., Any])

# Found on the module path; what was made of another state of our code has another name.
MODULE = f"sentiment_native_{STATE}"

# Instructions, see `sentiment.model.compiled.jit`; called by native code alone.
load8: Any = None
trailing_zeros: Any = None
as_float: Any = None

_made: Any = None
_numba: Any = None
try:
    _made = import_module(MODULE)
except ModuleNotFoundError:
    from sentiment.model.compiled import jit as _numba

    load8, as_float = _numba.load8, _numba.as_float
    trailing_zeros = _numba.trailing_zeros


def jit(function: Function) -> Function:
    """Compile a function; other threads run while it does."""
    if _made is None:
        return _numba.jit(function)
    # What Python calls is there by its name; the rest is inside of it.
    return getattr(_made, function.__name__, function)


def step(function: Function) -> Function:
    """The same for a small step of a loop, which LLVM copies in: a call costs as much as a word."""
    return _numba.step(function) if _made is None else function
