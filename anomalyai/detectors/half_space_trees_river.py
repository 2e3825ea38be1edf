"""Between our `HalfSpaceTrees` and River's: the same trees and masses, arrays here, node objects there.

Apart from its siblings because importing River takes seconds.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river.anomaly import HalfSpaceTrees as RiverHalfSpaceTrees

from anomalyai.detectors.half_space_trees_shape import Limits, TreeShapes


def read_masses(
    model: RiverHalfSpaceTrees, names: Sequence[Any], shapes: TreeShapes
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the leaf masses (current, reference), both [trees * leaves], of a River model with trees.

    Raises
    ------
    ValueError
        The model's trees are not `shapes` over `names`.
    """
    column = {name: j for j, name in enumerate(names)}
    leaves = 1 << model.height
    current = np.zeros(model.n_trees * leaves, dtype=np.uint32)
    reference = np.zeros_like(current)
    for tree, root in enumerate(model.trees):
        for heap, node in _heap_nodes(root):
            if heap >= leaves:
                current[tree * leaves + heap - leaves] = node.l_mass
                reference[tree * leaves + heap - leaves] = node.r_mass
            elif (
                column.get(node.feature) != shapes.features[tree * leaves + heap]
                or node.threshold != shapes.thresholds[tree * leaves + heap]
            ):
                raise ValueError(
                    f"expected the trees that River draws from seed {model.seed} over the features "
                    f"{list(names)}, got others (tree {tree}, node {heap}): names must be sorted, and "
                    "River's first learnt record must have had all of them"
                )
    return current, reference


def build_model(
    names: Sequence[Any],
    *,
    height: int,
    window_size: int,
    limits: Limits,
    seed: int,
    current: NDArray[np.uint32],
    reference: NDArray[np.uint32],
    counter: int,
) -> RiverHalfSpaceTrees:
    """Return a River model over `names` (sorted) with these leaf masses, both [trees * leaves]."""
    if len(names) != len(limits) or list(names) != sorted(names):
        raise ValueError(f"expected {len(limits)} sorted feature names, got {list(names)}: River sorts them")
    model = RiverHalfSpaceTrees(
        n_trees=len(current) >> height,
        height=height,
        window_size=window_size,
        limits=dict(zip(names, limits, strict=True)),
        seed=seed,
    )
    # River draws its trees at the first record; the masses that it leaves are replaced below.
    model.learn_one(dict.fromkeys(names, 0.0))  # type: ignore[no-untyped-call]  # River's is untyped
    for tree, root in enumerate(model.trees):
        leaves = slice(tree << height, (tree + 1) << height)
        now, last = _heap_masses(current[leaves]), _heap_masses(reference[leaves])
        for heap, node in _heap_nodes(root):
            node.l_mass = int(now[heap])
            node.r_mass = int(last[heap])
    model.counter = counter
    model._first_window = not reference.any()  # noqa: SLF001 - River offers no other way to set it
    return model


def _heap_nodes(root: Any) -> Iterator[tuple[int, Any]]:
    """Yield (heap position counted from 1, River node) of a tree."""
    stack = [(1, root)]
    while stack:
        heap, node = stack.pop()
        yield heap, node
        for side, child in enumerate(getattr(node, "children", ())):
            stack.append((2 * heap + side, child))


def _heap_masses(leaves: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return the masses of all nodes [2 * leaves], heap order counted from 1, given those of the leaves."""
    masses = np.zeros(2 * len(leaves), dtype=np.int64)
    masses[len(leaves) :] = leaves
    for heap in range(len(leaves) - 1, 0, -1):
        masses[heap] = masses[2 * heap] + masses[2 * heap + 1]
    return masses
