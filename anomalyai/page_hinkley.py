"""Page-Hinkley tests (Page 1954) of many series at once, compiled, equal to River's bit for bit.

River's `river.drift.PageHinkley` is an object a series and offers no way to keep its state but to pickle it,
which snapshots never do. Here a test is a row of six numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled

__all__ = ["new_tests", "update_tests"]

KEEPING = 1.0 - 0.0001
"""What is left of the sums at each value; River's default."""

FRESH = np.array([0.0, 0.0, 0.0, 0.0, np.inf, -1.0])
"""Where River's test starts: values seen and their mean, the sum of what exceeds it by more than is
tolerated, the sum of what falls short of it, the smallest of the first sum, the largest of the second."""


def new_tests(series: int) -> NDArray[np.float64]:
    """Return tests that have seen nothing, float64 [series, 6]."""
    return np.tile(FRESH, (series, 1))


@compiled
def update_tests(tests: Any, values: Any, tolerance: Any, threshold: Any, drifted: Any) -> None:
    """Give each test its value, float64 [series], NaN where there is none; those that drift start anew.

    `drifted`, bool [series], takes which do. As River's with `min_instances=1`, `delta=tolerance`.
    """
    for j in range(len(values)):
        drifted[j] = False
        if np.isnan(values[j]):
            continue
        test = tests[j]
        test[0] += 1.0
        test[1] += (1.0 / test[0]) * (values[j] - test[1])
        off = values[j] - test[1]
        test[2] = KEEPING * test[2] + off - tolerance
        test[3] = KEEPING * test[3] + off + tolerance
        test[4] = min(test[4], test[2])
        test[5] = max(test[5], test[3])
        if test[2] - test[4] > threshold or test[5] - test[3] > threshold:
            drifted[j] = True
            test[:] = FRESH
