"""A fitted isolation forest as arrays: heaps where its trees are shallow, a node list where they are not."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.isolation_forest_kernel import measure_heaps, measure_nodes

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest

DEEPEST_HEAP = 10  # a heap doubles with each level; past this a tree no longer fits the first-level cache


@dataclass(frozen=True)
class Heaps:
    """Trees as complete binary heaps of one depth; arrays as in `measure_heaps`."""

    features: NDArray[np.uint16]
    thresholds: NDArray[np.float32]
    lengths: NDArray[np.float64]
    n_leaves: int
    mean_length: float

    def measure(self, rows: NDArray[np.float64], exponents: NDArray[np.float64]) -> None:
        """Write the base-2 logarithm of each row's score to `exponents`."""
        measure_heaps(
            rows.reshape(-1),
            rows.shape[1],
            self.features,
            self.thresholds,
            self.lengths,
            self.n_leaves,
            self.mean_length,
            exponents,
        )

    def holds(self) -> bool:
        """Whether the arrays are whole trees, so that no path leaves them."""
        leaves = self.n_leaves
        sizes = [1 << depth for depth in range(DEEPEST_HEAP + 1)]
        return type(leaves) is int and leaves in sizes and len(self.lengths) % leaves == 0


@dataclass(frozen=True)
class NodeList:
    """Trees of any depth as one list of nodes; arrays as in `measure_nodes`."""

    roots: NDArray[np.int64]
    depths: NDArray[np.int64]
    features: NDArray[np.uint16]
    thresholds: NDArray[np.float32]
    children: NDArray[np.uint32]
    lengths: NDArray[np.float64]
    mean_length: float

    def measure(self, rows: NDArray[np.float64], exponents: NDArray[np.float64]) -> None:
        """Write the base-2 logarithm of each row's score to `exponents`."""
        measure_nodes(
            rows.reshape(-1),
            rows.shape[1],
            self.roots,
            self.depths,
            self.features,
            self.thresholds,
            self.children,
            self.lengths,
            self.mean_length,
            exponents,
        )

    def holds(self) -> bool:
        """Whether every step from every node leads to a node of the list."""
        nodes = len(self.lengths)
        return (
            self.roots.dtype == self.depths.dtype == np.int64
            and self.children.dtype == np.uint32
            and self.roots.shape == self.depths.shape == (len(self.roots),)
            and self.children.shape == (2 * nodes,)
            and bool((self.roots >= 0).all() and (self.roots < nodes).all() and (self.children < nodes).all())
            and bool((self.depths >= 0).all() and (self.depths < nodes).all())
        )


Layout = Heaps | NodeList


def lay_out(estimator: IsolationForest) -> Layout:
    """Return the layout that suits the depth of the estimator's trees."""
    nodes = _node_list(estimator)
    return _heaps(nodes) if nodes.depths.max(initial=0) <= DEEPEST_HEAP else nodes


def layout_state(layout: Layout) -> dict[str, Any]:
    """Return a layout's arrays and numbers, for `anomalyai.state`."""
    return {"layout": type(layout).__name__, **vars(layout)}


def layout_from_state(fields: dict[str, Any], width: int) -> Layout:
    """Return the layout that `layout_state` described, for rows of `width` columns.

    The kernels trust every index in it, so each is checked here; raises `ValueError` where one leads astray.
    """
    cls = {"Heaps": Heaps, "NodeList": NodeList}[fields["layout"]]
    names = [field.name for field in dataclasses.fields(cls)]
    layout: Layout = cls(**{name: fields[name] for name in names})
    if not (
        len(layout.lengths) > 0
        and type(layout.mean_length) is float
        and 0.0 <= layout.mean_length < np.inf
        and (layout.lengths >= 0.0).all()
        and layout.features.dtype == np.uint16
        and layout.thresholds.dtype == np.float32
        and layout.lengths.dtype == np.float64
        and layout.features.shape == layout.thresholds.shape == layout.lengths.shape == (len(layout.lengths),)
        and (layout.features < 2 * width).all()
        and np.isfinite(layout.lengths).all()
        and layout.holds()
    ):
        raise ValueError(f"expected the trees of a forest over {width} columns")
    return layout


def average_path_length(n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean length of an unsuccessful search among `n` records (Liu et al. 2008, equation 1)."""
    count = np.maximum(n, 3).astype(np.float64)
    length = 2.0 * (np.log(count - 1.0) + np.euler_gamma) - 2.0 * (count - 1.0) / count
    return np.where(n <= 1, 0.0, np.where(n == 2, 1.0, length))


def _node_list(estimator: IsolationForest) -> NodeList:
    width = estimator.n_features_in_
    parts: list[tuple[NDArray[np.uint16], NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]] = []
    roots: list[int] = []
    depths: list[int] = []
    offset = 0
    for fitted, columns in zip(estimator.estimators_, estimator.estimators_features_, strict=True):
        tree = fitted.tree_
        leaf = tree.children_left < 0
        mirrored = ~leaf & tree.missing_go_to_left.astype(bool)
        own = np.arange(tree.node_count)
        left = np.where(leaf, own, tree.children_left)
        right = np.where(leaf, own, tree.children_right)
        children = np.where(
            mirrored[:, None], np.stack([right, left], axis=1), np.stack([left, right], axis=1)
        )
        below = _float32_not_above(tree.threshold)
        above = _next_up(below)
        feature = np.where(leaf, 0, columns[np.maximum(tree.feature, 0)]) + width * mirrored
        node_depths = tree.compute_node_depths()
        length = node_depths + average_path_length(tree.n_node_samples) - 1.0
        parts.append(
            (
                feature.astype(np.uint16),
                np.where(mirrored, -above, below),
                children + offset,
                np.where(leaf, length, 0.0),
            )
        )
        roots.append(offset)
        depths.append(int(node_depths.max()) - 1)
        offset += tree.node_count
    expected = average_path_length(np.array([estimator.max_samples_]))[0]
    features, thresholds, children, lengths = (np.concatenate(column) for column in zip(*parts, strict=True))
    return NodeList(
        roots=np.array(roots),
        depths=np.array(depths),
        features=features,
        thresholds=thresholds,
        children=children.reshape(-1).astype(np.uint32),
        lengths=lengths,
        mean_length=float(len(roots) * expected),
    )


def _heaps(nodes: NodeList) -> Heaps:
    """Lay every tree out as a complete heap of the deepest one's depth; below a leaf, all ends repeat it."""
    depth = int(nodes.depths.max())
    features = np.zeros((len(nodes.roots), 1 << depth), dtype=np.uint16)
    thresholds = np.zeros(features.shape, dtype=np.float32)
    at: NDArray[np.integer] = nodes.roots[:, None]
    for level in range(depth):
        places = slice(1 << level, 2 << level)
        features[:, places] = nodes.features[at]
        thresholds[:, places] = nodes.thresholds[at]
        at = nodes.children.reshape(-1, 2)[at].reshape(len(at), -1)
    return Heaps(
        features=features.reshape(-1),
        thresholds=thresholds.reshape(-1),
        lengths=nodes.lengths[at].reshape(-1),
        n_leaves=1 << depth,
        mean_length=nodes.mean_length,
    )


def _float32_not_above(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 not above each threshold: a float32 x has x <= either or x <= neither."""
    with np.errstate(
        over="ignore"
    ):  # a threshold past the float32 range becomes infinite: nothing is beyond it
        rounded = threshold.astype(np.float32)
    return np.where(rounded > threshold, -_next_up(-rounded), rounded)


def _next_up(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the smallest float32 above each x."""
    with np.errstate(over="ignore"):  # past the largest comes infinity
        return np.nextafter(x, np.float32(np.inf))
