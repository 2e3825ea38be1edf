"""Kernels work with a cache on disk, with one beside the user's files, and with none."""

import os
import subprocess
import sys
from pathlib import Path

import numba.core.caching
import pytest

from anomalyai.detectors.compilation import PACKAGE, compiled, forget_stale_kernels

SCORING = """
import numpy as np
from anomalyai.detectors.half_space_trees import HalfSpaceTrees
detector = HalfSpaceTrees(2, 2, 3, 4)
detector.learn_batch(np.full((4, 2), 0.5))
print(detector.score_batch([[0.5, 0.5]])[0] < 1.0)
"""


def doubled(x: int) -> int:
    return 2 * x


def test_works_where_no_cache_folder_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    assert compiled(doubled)(21) == 42


def test_machine_code_is_kept_in_the_folder_asked_for(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", SCORING]
    for _ in range(2):
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert run.stdout == "True\n"
    assert list(tmp_path.rglob("half_space_trees_kernel.advance*.nbi")) != []


CALLEE = (
    "from anomalyai.detectors.compilation import compiled\n\n\n@compiled\ndef step(x):\n    return x + {}\n"
)
CALLER = """
from anomalyai.detectors.compilation import compiled
from kernels.callee import step


@compiled
def twice(x):
    return step(step(x))
"""
RUN = """
import sys
from pathlib import Path
from anomalyai.detectors.compilation import forget_stale_kernels
sys.path.insert(0, sys.argv[1])
forget_stale_kernels(Path(sys.argv[1]) / "kernels")
from kernels.caller import twice
print(twice(1))
"""


def test_a_kernel_is_compiled_anew_when_one_that_it_calls_has_changed(tmp_path: Path) -> None:
    package = tmp_path / "kernels"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "caller.py").write_text(CALLER)
    printed = []
    for step in (1, 20):
        (package / "callee.py").write_text(CALLEE.format(step))
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", RUN, str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
        )
        printed.append(run.stdout.strip())
    assert printed == ["3", "41"]


def test_machine_code_is_kept_while_no_kernel_changes(tmp_path: Path) -> None:
    (tmp_path / "kernel.py").write_text("@compiled\n")
    (tmp_path / "other.py").write_text("x = 1\n")
    assert forget_stale_kernels(tmp_path)
    index = tmp_path / "__pycache__" / "kernel.nbi"
    index.write_bytes(b"")
    (tmp_path / "other.py").write_text("x = 2, 3\n")
    assert not forget_stale_kernels(tmp_path)
    assert index.exists()
    (tmp_path / "kernel.py").write_text("@compiled  # changed\n")
    assert forget_stale_kernels(tmp_path)
    assert not index.exists()
    assert not forget_stale_kernels(PACKAGE)
