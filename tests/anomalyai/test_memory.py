"""What a million entities take, and that nobody is forgotten before."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from anomalyai.features import FeatureBuilder
from tests.anomalyai.million import ENTITIES, SCHEMA, batch


def test_a_million_entities_are_kept_in_bounded_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.anomalyai.million"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["growth_mb"] < 500, found
    assert found["used"] == [ENTITIES, ENTITIES]
    assert found["evicted"] == 0
    assert found["same_scores"] == [True, True]
    assert found["slots_beyond"] == found["slots"]  # beyond the bound, memory is as it was
    assert max(found["used_beyond"]) <= found["slots"][0] <= 4 * ENTITIES
    assert found["growth_with_state_mb"] < 700, found
    assert found["state_mb"] < 150, found


def test_an_entity_that_gives_way_is_counted_once() -> None:
    builder = FeatureBuilder(SCHEMA, max_entities=500)
    builder.describe(batch(np.arange(20_000)))
    [table] = [profile.table for profile in builder._profiles]
    assert table.used + builder.evicted == 20_000
