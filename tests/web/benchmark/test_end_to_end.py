"""The measurement of the whole server: what it compares with is real, and a short run of it ends well."""

from __future__ import annotations

import pytest

from web.benchmark.child import started
from web.benchmark.end_to_end import measure_end_to_end
from web.benchmark.latency import planted
from web.benchmark.plain import bodies, create_app
from web.benchmark.workload import NUMBERS, columns


def test_the_plain_way_scores_every_record_with_both_models() -> None:
    client = create_app().test_client()
    scores = [client.post("/score", data=body, content_type="application/json").json for body in bodies(5)]
    assert all(set(score) == {"half_space_trees", "isolation_forest"} for score in scores)
    assert all(0.0 < score["isolation_forest"] < 1.0 for score in scores)
    assert len({score["isolation_forest"] for score in scores}) > 1


def test_a_planted_record_differs_from_the_workload_in_its_numbers_alone() -> None:
    frame, usual = planted(3_000, 17), columns(1_000, first=3_000)
    wrong = {name: [i for i in range(1_000) if frame[name][i] != usual[name][i]] for name in frame}
    assert {name: places for name, places in wrong.items() if places} == {
        f"x{number}": [17] for number in range(NUMBERS)
    }


def test_a_child_that_does_not_get_ready_is_an_error_that_names_it() -> None:
    with (
        pytest.raises(RuntimeError, match=r"web\.benchmark\.nothing did not start"),
        started("web.benchmark.nothing", ready="ready"),
    ):
        pass


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_short_run_gives_all_three_figures() -> None:
    figures = measure_end_to_end(records=20_000, latency_s=3.0)
    assert list(figures) == ["end_to_end", "end_to_end_plain", "alert_latency_p99_ms"]
    for row in figures.values():
        assert row["ratio"] == pytest.approx(row["value"] / row["baseline"])
    assert figures["end_to_end_plain"]["ratio"] > figures["end_to_end"]["ratio"] > 1.0
