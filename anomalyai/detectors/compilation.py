"""Ahead-of-use compilation of the detectors' inner loops with numba.

One decorator, `compiled`, holds the settings every kernel shares: no fast-math (results must not depend on
how a compiler regroups sums), the interpreter lock released while a kernel runs, and machine code kept on
disk so that only the first process on a machine pays for the compilation. The cache lives beside the module,
or, where that folder cannot be written, in numba's per-user folder; where neither can be written the kernel
is compiled once a process.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` compiled at its first call.

    Kernels take numpy arrays and scalars of fixed types, so that each is compiled exactly once; they are not
    re-entrant on the same arrays, and callers must not share an output array between threads.
    """
    try:
        kernel: Callable[P, R] = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba's answer where no cache folder can be written
        kernel = numba.njit(nogil=True)(function)
    return kernel
