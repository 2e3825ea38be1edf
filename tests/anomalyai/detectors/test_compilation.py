"""Kernels work with a cache on disk, with one beside the user's files, and with none."""

import os
import subprocess
import sys
from pathlib import Path

import numba.core.caching
import pytest

from anomalyai.detectors.compilation import compiled

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
