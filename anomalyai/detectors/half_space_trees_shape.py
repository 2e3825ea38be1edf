"""The constant half of `HalfSpaceTrees`: which feature each node asks for, and where it cuts.

Shapes follow from the parameters alone, through the draws River makes from its seed, so they are rebuilt
instead of being stored with the state, and detectors that differ only in their window share one copy.
"""

import functools
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PADDING = 0.15  # River keeps cuts this far, as a share of the range, from both ends of a range
_SHAPES_KEPT = 8

Limits = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class TreeShapes:
    """Split features and thresholds [trees * 2**height], tree after tree, heap order from 1; read-only."""

    features: NDArray[np.uint16]
    thresholds: NDArray[np.float64]


@functools.lru_cache(maxsize=_SHAPES_KEPT)
def build_shapes(n_trees: int, height: int, limits: Limits, seed: int) -> TreeShapes:
    """Draw the trees that River's `HalfSpaceTrees` draws for features 0, 1, ... from this seed.

    Parameters
    ----------
    n_trees, height
        Number of trees; number of splits on a path.
    limits
        Range (low, high) of each feature; a split's feature is drawn with its remaining range as weight.
    seed
        Seed of Python's Mersenne Twister, as in River.
    """
    rng = random.Random(seed)
    features = np.zeros((n_trees, 1 << height), dtype=np.uint16)
    thresholds = np.zeros((n_trees, 1 << height), dtype=np.float64)
    population = range(len(limits))

    def grow(tree: int, node: int, ranges: list[tuple[float, float]]) -> None:
        if node >= 1 << height:
            return
        on = rng.choices(population, weights=[high - low for low, high in ranges])[0]
        low, high = ranges[on]
        cut = rng.uniform(low + PADDING * (high - low), high - PADDING * (high - low))
        features[tree, node] = on
        thresholds[tree, node] = cut
        ranges[on] = (low, cut)
        grow(tree, 2 * node, ranges)
        ranges[on] = (cut, high)
        grow(tree, 2 * node + 1, ranges)
        ranges[on] = (low, high)

    for tree in range(n_trees):
        grow(tree, 1, list(limits))
    shapes = TreeShapes(features.reshape(-1), thresholds.reshape(-1))
    shapes.features.flags.writeable = False
    shapes.thresholds.flags.writeable = False
    return shapes
