"""Ahead-of-use compilation of the detectors' inner loops with numba.

One decorator, `compiled`, holds the settings every kernel shares: no fast-math (results must not depend on
how a compiler regroups sums), the interpreter lock released while a kernel runs, and machine code kept on
disk so that only the first process on a machine pays for the compilation. The cache lives beside the module,
or, where that folder cannot be written, in numba's per-user folder; where neither can be written the kernel
is compiled once a process.

numba takes machine code for stale when the kernel's own file has changed. Kernels call kernels of other
files, whose code is then part of theirs, so here all of it is forgotten when any file with a kernel has
changed.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


OPTIONS: Final[dict[str, Any]] = {"nogil": True, "error_model": "numpy", "forceinline": True}
"""Floats divided by zero are infinite or NaN, as in NumPy, so that no division needs a branch. Kernels that
kernels call become part of them: left as calls, each counts the references of its arrays up and down, which
took half the time of those with much to call."""

PACKAGE = Path(__file__).resolve().parent.parent
STAMP = "kernels.stamp"


def forget_stale_kernels(package: Path) -> bool:
    """Forget the machine code of a package's kernels if one of their files is not as it was; says whether.

    Where the package's folder cannot be written nothing is forgotten: an installer writes all its files anew.
    """
    stats = [
        (path, path.stat()) for path in sorted(package.rglob("*.py")) if b"@compiled" in path.read_bytes()
    ]
    told = "\n".join(f"{path.relative_to(package)} {stat.st_mtime_ns} {stat.st_size}" for path, stat in stats)
    stamp = hashlib.sha256(told.encode()).hexdigest()
    kept = package / "__pycache__" / STAMP
    with suppress(FileNotFoundError):
        if kept.read_text() == stamp:
            return False
    try:
        for index in package.rglob("__pycache__/*.nbi"):
            index.unlink(missing_ok=True)
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(stamp)
    except OSError:
        return False
    return True


forget_stale_kernels(PACKAGE)


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` compiled at its first call.

    Kernels take numpy arrays and scalars of fixed types, so that each is compiled exactly once; they are not
    re-entrant on the same arrays, and callers must not share an output array between threads.
    """
    try:
        kernel: Callable[P, R] = numba.njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # numba's answer where no cache folder can be written
        kernel = numba.njit(**OPTIONS)(function)
    return kernel
