"""The one decorator for loops that numba compiles.

A loop is compiled on its first call, once for a machine: the code is kept in a cache beside the
file, or in numba's own folder where that can't be written. No fast-math: floats are neither
reassociated nor fused, so the numbers don't depend on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Loop = TypeVar("_Loop", bound=Callable[..., Any])


def compiled(loop: _Loop) -> _Loop:
    """Compile on first use; the interpreter's lock is released while the loop runs."""
    try:
        return cast(_Loop, numba.njit(loop, cache=True, nogil=True, error_model="numpy"))
    except RuntimeError:  # no folder for a cache can be written: compiled anew in each process
        return cast(_Loop, numba.njit(loop, nogil=True, error_model="numpy"))
