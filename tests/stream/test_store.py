"""Results: packed scores, alerts that only a higher revision replaces, pages that part no record's alerts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from anomalyai.alert import Alert
from anomalyai.scored import ScoredBatch
from stream.database import Database
from stream.errors import LogFailure
from stream.results import Commit, Results, Statement, job_row, unpack_scores
from stream.store import Store
from stream.training.ledger import Ledger
from tests.stream.conftest import RunningLog


def alert(seq: int, revision: int = 1, suffix: str = "", summary: str = "odd") -> Alert:
    return Alert(
        id=f"f-{suffix}{seq}",
        feed="f",
        seq=seq,
        time=None,
        score=4.0,
        one_in=1e4,
        severity="low",
        summary=summary,
        reasons=(),
        record={"a": 1},
        entities={},
        revision=revision,
    )


def scored(first_seq: int, n: int, alerts: list[Alert] | None = None, seed: int = 0) -> ScoredBatch:
    rng = np.random.default_rng(seed)
    return ScoredBatch(
        first_seq=first_seq,
        n=n,
        time_s=np.full(n, np.nan),
        score=rng.exponential(size=n),
        flagged=rng.random(n) < 0.3,
        warming_up=rng.random(n) < 0.5,
        threshold=3.5,
        alerts=alerts or [],
    )


def commit(log: RunningLog, results: Results) -> None:
    work = Commit(results)
    log.writer.submit(work)
    work.finished.result(timeout=60)


def one_entry(entry: int, *batches: ScoredBatch) -> Results:
    results = Results()
    for batch in batches:
        results.add("f", 0.0, batch)
    results.add_scores("f", [(entry, sum(batch.n for batch in batches))], batches)
    results.done("f", entry, batches[-1].first_seq + batches[-1].n - 1)
    return results


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 99))
def test_scores_survive_packing_bit_by_bit(sizes: list[int], seed: int) -> None:
    parts = [scored(1, n, seed=seed + i) for i, n in enumerate(sizes)]
    entries = [(10 * i, n) for i, n in enumerate(reversed(sizes))]  # cut otherwise than they were scored
    results = Results()
    results.add_scores("f", entries, parts)
    found = [unpack_scores(row["body"], row["n"]) for row in results.scores]
    assert [row["n"] for row in results.scores] == sizes[::-1]
    assert [row["first_seq"] for row in results.scores] == list(np.cumsum([1, *sizes[:0:-1]]))
    for k, name in enumerate(("score", "flagged", "warming_up")):
        wanted = np.concatenate([getattr(part, name) for part in parts])
        assert np.concatenate([one[k] for one in found]).tobytes() == wanted.tobytes()


def test_an_entrys_results_are_read_back(running_log: RunningLog) -> None:
    store = Store(running_log.database)
    assert store.position("f") == (0, 0)
    assert store.scores(5) is None
    parts = [scored(11, 4, [alert(12)]), scored(15, 3, seed=1)]
    commit(running_log, one_entry(5, *parts))
    assert store.position("f") == (5, 17)
    found = store.scores(5)
    assert found is not None
    assert (found.first_seq, found.threshold) == (11, 3.5)
    assert found.score.tobytes() == b"".join(part.score.tobytes() for part in parts)
    assert store.alert("f-12") == alert(12)
    assert store.alert("f-13") is None
    assert store.alert_tallies() == {"f": {("low", "open"): 1}}


def test_committing_the_same_results_twice_changes_nothing(running_log: RunningLog) -> None:
    store = Store(running_log.database)
    for _ in range(2):
        commit(running_log, one_entry(5, scored(1, 4, [alert(2), alert(3)])))
    assert [seq for seq, _ in store.alert_bodies("f", 0, 99, 99)] == [2, 3]


def test_only_a_higher_revision_replaces_an_alert(running_log: RunningLog) -> None:
    store = Store(running_log.database)
    for entry, revision, summary, expected in (
        (1, 2, "second", "second"),
        (2, 1, "first", "second"),
        (3, 3, "third", "third"),
    ):
        changed = alert(2, revision, summary=summary)
        commit(running_log, one_entry(entry, scored(10 * entry, 1, [changed])))
        found = store.alert("f-2")
        assert found is not None
        assert found.summary == expected
    assert store.alert_tallies() == {"f": {("low", "open"): 1}}


def test_a_page_never_parts_the_alerts_of_one_record(running_log: RunningLog) -> None:
    store = Store(running_log.database)
    alerts = [alert(1), alert(2), alert(2, suffix="s"), alert(2, suffix="t"), alert(3)]
    commit(running_log, one_entry(1, scored(1, 3, alerts)))
    pages, after = [], 0
    while page := store.alert_bodies("f", after, 99, 2):
        pages.append([msgspec.json.decode(body)["id"] for _, body in page])
        after = page[-1][0]
    assert pages == [["f-1", "f-2", "f-s2", "f-t2"], ["f-3"]]
    assert [seq for seq, _ in store.alert_bodies("f", 1, 2, 99)] == [2, 2, 2]


def test_dead_letters_and_jobs_are_kept_as_they_first_came(running_log: RunningLog) -> None:
    store = Store(running_log.database)
    ledger = Ledger(running_log.database, running_log.writer, kept=10)
    for error in ("first", "second"):
        results = Results()
        results.dead("f", 7, 31, 2, error, 0.0)
        results.jobs.append(job_row("f-7", "f", 7, 0.0))
        commit(running_log, results)
        [row] = ledger.rows()
        done = msgspec.structs.replace(row.job, state="done", model="m")
        ledger.keep(ledger.change(done, row.failures, 1.0))
    assert store.dead_letters("f") == {7: "first"}
    assert store.dead_letters("g") == {}
    jobs = [row.job for row in ledger.rows()]
    assert [(job.id, job.feed, job.state, job.model) for job in jobs] == [("f-7", "f", "done", "m")]


def test_a_statement_that_fails_says_so(running_log: RunningLog) -> None:
    statement = Statement(lambda transaction: transaction.execute(sa.text("DROP TABLE nowhere")))
    running_log.writer.submit(statement)
    with pytest.raises(LogFailure, match="no such table"):
        statement.finished.result(timeout=60)


def test_every_log_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = set()
    for folder in ("a", "b", "a"):
        database = Database(tmp_path / folder)
        database.migrate()
        names.add(Store(database).identity())
        database.close()
    assert len(names) == 2
