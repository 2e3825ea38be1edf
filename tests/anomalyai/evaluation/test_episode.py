"""Detection delay, counted by hand."""

from __future__ import annotations

import numpy as np

from anomalyai.evaluation.episode import MAX_GAP, delay


def flags(n: int, *places: int) -> np.ndarray:
    flagged = np.zeros(n, dtype=bool)
    flagged[list(places)] = True
    return flagged


def test_an_episode_of_the_stream_is_found_by_its_first_flagged_anomaly() -> None:
    label = np.zeros(100)
    label[[3, 4, 6, 40, 41, 80]] = 1.0
    time_s = 10.0 * np.arange(100)
    found = delay(flags(100, 5, 6, 40, 41), label, time_s)  # 5 is ordinary: no detection
    assert (found.episodes, found.found, found.at_once) == (3, 2, 1)
    assert found.median_records == 1.5
    assert found.median_s == 15.0
    assert found.ninth_tenth_records == 2.7


def test_episodes_are_those_of_an_entity() -> None:
    entity = np.array([1, 2, 1, 2, 1, 2, 1, 0, 0], dtype=np.uint64)
    label = np.array([1, 0, 1, 1, 1, 1, 0, 1, 1], dtype=float)
    time_s = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8], dtype=float)
    found = delay(flags(9, 4, 5, 8), label, time_s, entity)
    assert (found.episodes, found.found, found.at_once) == (2, 2, 0)
    assert found.median_records == 1.5  # two of entity 1, one of entity 2
    assert found.median_s == 3.0


def test_a_long_pause_begins_another_episode() -> None:
    label = np.zeros(60)
    label[[0, MAX_GAP + 1]] = 1.0
    time_s = np.full(60, np.nan)
    assert delay(flags(60), label, time_s).episodes == 1
    label = np.roll(label, 1)
    label[[1, MAX_GAP + 2, MAX_GAP + 3]] = (1.0, 0.0, 1.0)
    found = delay(flags(60, MAX_GAP + 3), label, time_s)
    assert (found.episodes, found.found, found.at_once, found.median_s) == (2, 1, 1, None)


def test_without_anomalies_there_is_no_episode() -> None:
    nothing = delay(flags(5, 1), np.array([0, 0, np.nan, np.nan, 0]), np.arange(5.0))
    assert (nothing.episodes, nothing.found, nothing.median_records) == (0, 0, None)
    unknown = delay(flags(2), np.ones(2), np.arange(2.0), np.zeros(2, dtype=np.uint64))
    assert unknown.episodes == 0
