"""Compiling by Numba: the decorators, where the code is kept, and four instructions.

Numba keeps compiled code beside the hash of the one file that a function stands in. Ours call each
other across files, so each state of this package gets a directory of its own.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numba as nb
from llvmlite import ir
from numba import types
from numba.core import config
from numba.extending import intrinsic

from sentiment.model.compiled.state import STATE


def _cache_directory() -> str:
    """Where compiled code is kept: below `NUMBA_CACHE_DIR`, else in the user's own cache.

    Numba wants to write there. Where that is not allowed, a directory of its own serves for as long
    as the process lives.
    """
    given = os.environ.get("NUMBA_CACHE_DIR")
    home = Path(given) if given else Path.home() / ".cache" / "sentiment-stream" / "native"
    directory = home / STATE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError:
        own = tempfile.mkdtemp(prefix="sentiment-native-")
        atexit.register(shutil.rmtree, own, ignore_errors=True)
        return own
    return str(directory)


config.CACHE_DIR = _cache_directory()


def jit(function: Any) -> Any:
    """See `native.jit`."""
    return nb.njit(cache=True, nogil=True)(function)


def step(function: Any) -> Any:
    """See `native.step`."""
    return nb.njit(cache=True, nogil=True, forceinline=True)(function)


def _load8(typing: Any, array: Any, index: Any) -> Any:
    """Eight bytes of an array of bytes as one uint64, the first one lowest. Nothing is checked."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(view.data, [arguments[1]])
        word = builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()))
        word.align = 1
        return word

    return types.uint64(array, index), generate


def _trailing_zeros(typing: Any, number: Any) -> Any:
    """How many of the lowest bits of a uint64 are 0; 64 for 0."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(number), generate


def _as_float(typing: Any, bits: Any) -> Any:
    """The number whose 64 bits are those of a uint64."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(bits), generate


# As native code calls them: without the first argument.
load8: Any = intrinsic(_load8)
trailing_zeros: Any = intrinsic(_trailing_zeros)
as_float: Any = intrinsic(_as_float)
