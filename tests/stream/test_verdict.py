"""Verdicts and labels in the log: they survive kills, and a replay makes the same alerts of them."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from anomalyai.frame import open_frame
from anomalyai.schema import FeedSchema
from stream import tables
from stream.admission import Body
from stream.database import Database
from stream.errors import NotReady, UnknownAlert
from stream.judgement import ENTRY_LABELS, Label
from stream.log import LogReader
from stream.lookup import Lookup
from stream.runtime import Runtime
from stream.testing import die_at
from tests.conftest import NewServer
from tests.judging import RECORDS, alerts_of, is_odd, next_odd, odd_purchases, send_all, wait_scored
from tests.serving import ServerProcess
from tests.stream.conftest import RunningLog, rows, send
from tests.stream.feeding import drain, outcome, running, settings

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([__name__])


def replayed(data: Path, copy: Path, **engine: Any) -> None:
    """Let one uninterrupted engine make its results of a copy of a log."""
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns("snapshots", "*.lock"))
    database = Database(copy)
    with database.writer.begin() as connection:
        for table in (tables.alert, tables.score, tables.position):
            connection.execute(table.delete())
    database.close()
    with running(copy, **engine) as runtime:
        drain(runtime)


def judge(server: ServerProcess, seq: int, verdict: str) -> dict[str, Any]:
    answer = server.request("POST", f"/alerts/f-{seq}/verdict", json.dumps({"verdict": verdict}))
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


@pytest.mark.timeout(300)
def test_verdicts_survive_a_kill_and_a_replay_makes_the_same_of_them(
    new_server: NewServer, tmp_path: Path
) -> None:
    often = {"ANOMALYAI_ENGINE__SNAPSHOT_EVERY_RECORDS": "200", "ANOMALYAI_ENGINE__SNAPSHOT_EVERY_S": "0.1"}
    server = new_server(environ=often)
    send_all(server, "f", odd_purchases())
    odd = [seq for seq in alerts_of(server, "f") if is_odd(seq)]
    judge(server, odd[-1], "false_alarm")
    judge(server, odd[-2], "real")
    labels = {"labels": [{"id": f"r{odd[-3]}", "label": 0}, {"seq": odd[-4], "label": 1}]}
    answer = server.request("POST", "/feeds/f/labels", json.dumps(labels))
    assert answer.json == {"accepted": 2, "rejected": []}
    last = judge(server, odd[-1], "real")
    server.kill()

    server = new_server(environ=often)
    found = alerts_of(server, "f")
    assert [found[seq]["status"] for seq in odd[-4:]] == ["real", "false_alarm", "real", "real"]
    assert found[odd[-1]].items() <= last.items()
    assert max(found[seq]["revision"] for seq in odd[:-4]) > 1, "nothing was ranked anew"
    server.post("f", [next_odd()])
    wait_scored(server, "f")
    assert server.stop()[0] == 0

    replayed(server.data, tmp_path / "replayed", max_batch_records=7)
    live = outcome(server.data)
    kinds = [kind for _, kind, *_ in live.entries if kind in ("verdict", "labels")]
    assert kinds == ["verdict", "verdict", "labels", "verdict"]
    assert outcome(tmp_path / "replayed") == live


def judge_and_die(data: Path, alert_id: str, step: str) -> None:
    """Judge an alert, and be killed on the way."""
    runtime = Runtime.open(settings(data))
    runtime.start()
    die_at(step, 1)
    runtime.judgements.judge(alert_id, "real")
    runtime.stop(60.0)


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a data directory with open alerts of one kind, and the id of the last of them."""
    data = tmp_path_factory.mktemp("unjudged") / "data"
    with running(data) as runtime:
        runtime.post("f", json.dumps(odd_purchases()).encode(), "application/json")
        drain(runtime)
        return data, [alert.id for alert in runtime.alerts("f", limit=1000)[0] if is_odd(alert.seq)][-1]


@pytest.mark.parametrize(
    ("step", "is_kept"),
    [
        ("the log's rows are written, not committed", False),
        ("the results are written, not committed", True),
        ("the results are committed, the engine not told", True),
    ],
)
def test_a_crash_on_the_way_of_a_verdict_leaves_all_of_it_or_nothing(
    step: str, is_kept: bool, tmp_path: Path, unjudged: tuple[Path, str]
) -> None:
    before, alert_id = unjudged
    data = tmp_path / "data"
    shutil.copytree(before, data)
    process = processes.Process(target=judge_and_die, args=(data, alert_id, step))
    process.start()
    process.join(100)
    assert process.exitcode == -signal.SIGKILL
    with running(data) as runtime:
        drain(runtime)
        assert runtime.alert(alert_id).status == ("real" if is_kept else "open")
    found = outcome(data)
    assert (found.alerts != outcome(before).alerts) == is_kept
    if is_kept:
        replayed(data, tmp_path / "replayed")
        assert outcome(tmp_path / "replayed") == found


def test_many_labels_become_entries_of_a_bounded_size_that_wait_their_turn(tmp_path: Path) -> None:
    with running(tmp_path / "data") as runtime:
        runtime.post("f", json.dumps(odd_purchases()).encode(), "application/json")
        drain(runtime)
        flagged = {alert.seq for alert in runtime.alerts("f", limit=1000)[0]}
        taken, rejected = runtime.judgements.label(
            "f", [Label(i, i + 1, 1 if is_odd(i + 1) else 0) for i in range(RECORDS)]
        )
        assert (taken, rejected) == (RECORDS, [])
        statuses = {alert.seq: alert.status for alert in runtime.alerts("f", limit=1000)[0]}
        assert statuses == {seq: "real" if is_odd(seq) else "false_alarm" for seq in flagged}
        assert runtime.feed("f")["quarantined"] == 0, "what was held back is learnt or dropped"
    database = Database(tmp_path / "data")
    with database.reader.connect() as connection:
        bodies = sa.select(tables.entry.c.body).where(tables.entry.c.kind == "labels")
        sizes = [len(json.loads(body)["seqs"]) for body in connection.execute(bodies).scalars()]
    database.close()
    assert sizes == [ENTRY_LABELS] * (RECORDS // ENTRY_LABELS) + [RECORDS % ENTRY_LABELS]


def test_records_are_looked_up_by_number_and_by_the_newest_of_an_id(running_log: RunningLog) -> None:
    feeds = running_log.feeds()
    for first in (0, 10, 20):
        send(feeds, rows(first, 10))
    send(feeds, b'{"c": {"id": 7}, "a": 1.0}')
    send(feeds, b'{"c": {"id": 7}, "a": 2.0}')
    lookup = Lookup(LogReader(running_log.database))
    assert lookup.by_seq("f", [1, 15, 16, 33, 0, 15]) == {
        1: {"a": 0.0, "b": "x0"}, 15: {"a": 14.0, "b": "x2"}, 16: {"a": 15.0, "b": "x0"},
    }  # fmt: skip
    assert lookup.by_id("f", "b", ["x0", "x1", "none"]) == {
        "x0": (28, {"a": 27.0, "b": "x0"}),
        "x1": (29, {"a": 28.0, "b": "x1"}),
    }
    assert lookup.by_id("f", "c.id", ["7"])["7"] == (32, {"c": {"id": 7}, "a": 2.0})
    declared = feeds.declare("g", FeedSchema.from_toml('[feed]\nid = "card"\n'))
    assert declared is not None
    declared.result()
    card = 4_929_813_216_451_298_736
    frame = open_frame(b'{"batch": 1, "columns": {"card": [%d, %d], "a": [1.0, 2.0]}}' % (card, card + 1))
    feeds.admit("g", Body(b"", lambda intake, at: intake.admit_frame(frame, arrival_s=at))).result()
    assert lookup.by_id("g", "card", [str(card + 1)])[str(card + 1)] == (2, {"card": card + 1, "a": 2.0})
    assert lookup.by_id("g", "none", [str(card)]) == {}


def test_a_runtime_that_is_not_ready_takes_neither(tmp_path: Path) -> None:
    runtime = Runtime.open(settings(tmp_path / "data"))
    with pytest.raises(NotReady, match="not started"):
        runtime.judgements.judge("f-1", "real")
    with pytest.raises(NotReady, match="not started"):
        runtime.judgements.label("f", [Label(0, 1, 1)])
    runtime.stop(10.0)


def test_a_verdict_on_a_record_that_left_the_quarantine_changes_its_alert_alone(tmp_path: Path) -> None:
    """What the engine has not held back for long is no longer at hand; its alert is judged all the same."""
    with running(tmp_path / "data") as runtime:
        runtime.post("f", json.dumps(odd_purchases()).encode(), "application/json")
        drain(runtime)
        alert = runtime.alerts("f", limit=1)[0][0]
        runtime.judgements.judge(alert.id, "false_alarm")
        quarantined = runtime.feed("f")["quarantined"]
        after, reranked = runtime.judgements.judge(alert.id, "unsure", "what it was learnt as stays learnt")
        assert (after.status, after.revision) == ("unsure", 3)
        assert after.score == alert.score
        assert reranked >= 0
        assert runtime.feed("f")["quarantined"] == quarantined
        with pytest.raises(UnknownAlert):
            runtime.judgements.judge("f-0", "real")
