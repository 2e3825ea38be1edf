"""The checks catch what they are for: for each there is a detector with that one fault, and its sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from anomalyai import checks
from anomalyai.base import Detector, as_rows, stored_array
from anomalyai.checks import CHECKS, CheckFailed, check_detector
from anomalyai.detectors.baseline import ExtremeValueBaseline
from anomalyai.detectors.half_space_trees import HalfSpaceTrees


class Running(Detector):
    """A sound incremental detector: the distance to the running mean of what was learnt."""

    kind = "running"

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight
        self.sums = np.zeros(3)
        self.rows = 0

    @property
    def width(self) -> int:
        return 3

    @property
    def is_warm(self) -> bool:
        return self.rows > 0

    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        rows = np.clip(np.nan_to_num(as_rows(X, 3), nan=0.5), -1e6, 1e6)
        apart = np.abs(rows - self.sums / max(self.rows, 1))
        return self.weight * (apart[:, 0] + apart[:, 1] + apart[:, 2])

    def learn_batch(self, X: ArrayLike) -> None:
        for row in np.clip(np.nan_to_num(as_rows(X, 3), nan=0.5), -1e6, 1e6):
            self.sums += row
            self.rows += 1

    def _learnt(self) -> dict[str, Any]:
        return {"sums": self.sums, "rows": self.rows}

    def _take(self, fields: dict[str, Any]) -> None:
        self.sums, self.rows = stored_array(fields, "sums", 3), int(fields["rows"])


class LearnsFromScoring(Running):
    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        scores = super().score_batch(X)
        self.learn_batch(X)
        return scores


class WritesToRows(Running):
    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        rows = as_rows(X, 3)
        np.clip(rows, 0.0, 0.6, out=rows)
        return super().score_batch(rows)


class Unseeded(Running):
    def fit(self, X: ArrayLike) -> Self:
        self.sums += np.random.default_rng().random(3)
        return super().fit(X)


class RoundsParameter(Running):
    def __init__(self, weight: float = 1.0) -> None:
        super().__init__(np.float64(weight))


class CloneKeepsState(Running):
    def clone(self) -> Self:
        again = super().clone()
        again.sums, again.rows = self.sums.copy(), self.rows
        return again


class SharesState(Running):
    shared = np.zeros(3)

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.sums = self.shared


class ForgetsRows(Running):
    def _take(self, fields: dict[str, Any]) -> None:
        super()._take({**fields, "rows": min(1, fields["rows"])})


class ScoresMissingAsMissing(Running):
    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = np.where(
            np.isnan(as_rows(X, 3)).any(axis=1), np.nan, super().score_batch(X)
        )
        return scores


class RanksWithinTheBatch(Running):
    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        scores = super().score_batch(X)
        return scores / max(scores.max(initial=0.0), 1e-9)


class ScoresAfterLearning(Running):
    def score_learn_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        self.learn_batch(X)
        return self.score_batch(X)


class LearnsTheBatchMean(Running):
    def learn_batch(self, X: ArrayLike) -> None:
        rows = np.clip(np.nan_to_num(as_rows(X, 3), nan=0.5), -1e6, 1e6)
        if len(rows):
            self.sums += rows.mean(axis=0)
            self.rows += 1


class ScoresShortFloats(Running):
    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        return super().score_batch(X).astype(np.float32)  # type: ignore[return-value]


class LowIsAnomalous(Running):
    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        return -super().score_batch(X)


class NeverWarm(Running):
    @property
    def is_warm(self) -> bool:
        return False


class LearnsNothing(Running):
    def learn_batch(self, X: ArrayLike) -> None:
        as_rows(X, 3)


class KeepsEveryRow(Running):
    def __init__(self, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.kept: list[float] = []

    def learn_batch(self, X: ArrayLike) -> None:
        super().learn_batch(X)
        self.kept += as_rows(X, 3)[:, 0].tolist()

    def _learnt(self) -> dict[str, Any]:
        return {**super()._learnt(), "kept": self.kept}

    def _take(self, fields: dict[str, Any]) -> None:
        self.kept = fields.pop("kept")
        super()._take(fields)


class TakesAnyWidth(Running):
    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        rows = as_rows(X)
        return super().score_batch(np.resize(rows, (len(rows), 3)))


class ScoresEmptyBatches(Running):
    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        return super().score_batch(X) if len(as_rows(X, 3)) else np.zeros(1)


class LearnsAfterTraining(ExtremeValueBaseline):
    def learn_batch(self, X: ArrayLike) -> None:
        self.fit(X)


class ScoresUntrained(ExtremeValueBaseline):
    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        return super().score_batch(X) if self.is_warm else np.zeros(len(as_rows(X)))


FAULTS: list[tuple[Callable[[], Detector], Callable[[Detector], None], str]] = [
    (LearnsFromScoring, checks.check_scoring_is_pure, "scores the same rows differently the second time"),
    (WritesToRows, checks.check_scoring_is_pure, "changes the rows that it scores"),
    (Unseeded, checks.check_same_seed_gives_same_scores, "scores differently when trained twice"),
    (
        RoundsParameter,
        checks.check_parameters_are_stored_unchanged,
        "stores another object as its parameter weight",
    ),
    (CloneKeepsState, checks.check_clone_is_unfitted_and_equal, "has clones that know what it learnt"),
    (SharesState, checks.check_clone_is_unfitted_and_equal, "shares what it learns with its clones"),
    (ForgetsRows, checks.check_snapshot_continues_bit_identically, "scores differently after it came back"),
    (
        ScoresMissingAsMissing,
        checks.check_missing_and_infinite_values_give_finite_scores,
        "gives non-finite scores to awkward values",
    ),
    (
        RanksWithinTheBatch,
        checks.check_no_cut_into_batches_changes_a_score,
        "scores by how rows are cut into batches",
    ),
    (
        ScoresAfterLearning,
        checks.check_no_cut_into_batches_changes_a_score,
        "scores and learns by how rows are cut into batches",
    ),
    (
        LearnsTheBatchMean,
        checks.check_no_cut_into_batches_changes_a_score,
        "learns something else by how rows are cut into batches",
    ),
    (ScoresShortFloats, checks.check_scores_are_finite_floats, r"does not return float64 \[n\] as scores"),
    (LowIsAnomalous, checks.check_high_is_anomalous, "does not score a gross outlier high"),
    (NeverWarm, checks.check_high_is_anomalous, "is not warm after 12600 rows"),
    (LearnsNothing, checks.check_learning_is_as_declared, "is declared incremental and learns nothing"),
    (LearnsAfterTraining, checks.check_learning_is_as_declared, "does not say that it must be trained first"),
    (ScoresUntrained, checks.check_learning_is_as_declared, "does not say that it must be trained first"),
    (KeepsEveryRow, checks.check_memory_is_bounded, r"grows without bound: \d+ bytes more"),
    (TakesAnyWidth, checks.check_wrong_width_is_refused, r"does not say which rows it expects, of \(2, 4\)"),
    (ScoresEmptyBatches, checks.check_an_empty_batch_is_nothing, "gives scores to an empty batch"),
]


def test_a_sound_detector_passes() -> None:
    check_detector(Running(2.0))
    check_detector(ExtremeValueBaseline())
    check_detector(HalfSpaceTrees(3, n_trees=10, height=6, window_size=1_500))  # warm after the reference


def test_there_is_a_fault_for_every_check() -> None:
    assert {check for _, check, _ in FAULTS} == set(CHECKS)
    public = [name for name in dir(checks) if name.startswith("check_") and name != "check_detector"]
    assert sorted(check.__name__ for check in CHECKS) == public


@pytest.mark.parametrize(
    ("broken", "check", "sentence"), FAULTS, ids=[f"{fault[0].__name__}" for fault in FAULTS]
)
def test_each_fault_is_caught_with_a_sentence(
    broken: Callable[[], Detector], check: Callable[[Detector], None], sentence: str
) -> None:
    with pytest.raises(CheckFailed, match=sentence) as caught:
        check(broken())
    assert str(caught.value).startswith(f"{broken.__name__}(")  # type: ignore[attr-defined]
    with pytest.raises(CheckFailed):
        check_detector(broken())
