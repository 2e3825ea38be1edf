"""The runtime's calls: what a server gets from them, and what it is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from anomalyai.alert import Alert
from anomalyai.errors import SchemaConflict, UnreadableBody, UnsupportedMedia
from anomalyai.schema import FeedSchema
from stream.errors import (
    BatchConflict,
    DataDirectoryInUse,
    FeedName,
    NotReady,
    Overloaded,
    UnknownAlert,
    UnknownEvent,
    UnknownFeed,
)
from stream.hub import Subscription
from stream.lock import DataDirectoryLock
from stream.runtime import Runtime
from stream.settings import Feed as FeedSettings
from stream.testing import ManualClock
from tests.stream.feeding import drain, frame, records, running, settings, wait_until


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """Return a running runtime whose feed `pay` has 1,000 records."""
    with running(tmp_path_factory.mktemp("runtime") / "data") as runtime:
        for first in range(0, 1000, 250):
            runtime.post("pay", frame(first, 250), "application/json")
        drain(runtime)
        yield runtime


def received(subscription: Subscription, *, until: str, timeout_s: float = 10.0) -> list[dict[str, Any]]:
    """Return a subscription's messages up to the first of a type."""
    messages: list[dict[str, Any]] = []
    while not messages or messages[-1]["type"] != until:
        message = subscription.next(timeout_s)
        assert message is not None, f"no {until} among {[m['type'] for m in messages]}"
        messages.append(msgspec.json.decode(message))
    return messages


def test_a_feed_is_described_as_the_contract_says(runtime: Runtime) -> None:
    described = runtime.feed("pay")
    assert msgspec.json.decode(msgspec.json.encode(runtime.feeds()))[0]["feed"] == "pay"
    assert described["schema"]["settled"]
    fields = {field["name"]: field["kind"] for field in described["schema"]["fields"]}
    assert (fields["ts"], fields["customer"], fields["amount"]) == ("time", "entity", "number")
    wanted = {
        "feed": "pay",
        "last_seq": 1000,
        "accepted": 1000,
        "rejected": 0,
        "shed": 0,
        "lag": {"records": 0, "s": 0.0},
        "model": None,
        "maturity": "warming_up",
        "budget": "1/1000",
        "dead_letters": 0,
    }
    assert {name: described[name] for name in wanted} == wanted
    assert described["alerts"] == len(runtime.alerts("pay", 0, 1000)[0]) >= 3
    assert described["threshold"] == pytest.approx(3.0)
    for name in ("promised_rate", "realised_rate", "events_per_second"):
        assert described[name] >= 0
    assert runtime.stats()["ready"]


def test_alerts_come_in_pages_in_order_and_one_by_one(runtime: Runtime) -> None:
    everything, following = runtime.alerts("pay", 0, 1000)
    assert following is None
    assert [alert.seq for alert in everything] == sorted(alert.seq for alert in everything)
    paged: list[Alert] = []
    after: int | None = 0
    while after is not None:
        page, after = runtime.alerts("pay", after, 2)
        assert len(page) <= 2
        paged += page
    assert paged == everything
    assert runtime.alert(everything[0].id) == everything[0]
    assert runtime.alerts("pay", 10_000, 5) == ([], None)


def test_an_event_shows_the_record_its_score_and_why_or_why_not(runtime: Runtime) -> None:
    alert = runtime.alerts("pay", 0, 1)[0][0]
    flagged = runtime.event("pay", alert.seq)
    first = (alert.seq - 1) // 250 * 250
    assert flagged["record"] == records(first, 250)[alert.seq - 1 - first]
    assert (flagged["flagged"], flagged["alert"], flagged["why_not"]) == (True, alert.id, None)
    assert (flagged["score"], flagged["one_in"]) == (alert.score, alert.one_in)
    assert flagged["reasons"] == alert.reasons
    assert flagged["time"] == alert.time
    plain = runtime.event("pay", 1)
    assert (plain["flagged"], plain["alert"], plain["reasons"]) == (False, None, [])
    assert "below the threshold" in plain["why_not"]
    assert plain["margin"] == plain["threshold"] - plain["score"] > 0
    for event in (flagged, plain):
        why = event["explanation"]
        assert why["as_of_seq"] == 1000
        assert sum(part.part for part in why["parts"]) == pytest.approx(why["score"], abs=1e-9)
        assert {part.field for part in why["parts"]} <= {*event["record"]}
        assert why["summary"]
    assert flagged["explanation"]["reasons"][0].field == alert.reasons[0].field
    assert msgspec.json.decode(msgspec.json.encode(flagged))["seq"] == alert.seq


def test_what_is_not_there_is_said(runtime: Runtime) -> None:
    for call in (
        lambda: runtime.feed("nope"),
        lambda: runtime.alerts("nope", 0, 1),
        lambda: runtime.event("nope", 1),
        lambda: runtime.subscribe("nope", None),
    ):
        with pytest.raises(UnknownFeed, match="'nope'"):
            call()
    with pytest.raises(UnknownAlert, match="pay-999999"):
        runtime.alert("pay-999999")
    for seq in (0, 1001):
        with pytest.raises(UnknownEvent, match="its last is 1000"):
            runtime.event("pay", seq)


def test_bodies_of_every_kind_are_taken_and_others_refused(runtime: Runtime) -> None:
    assert runtime.post("kinds", b'{"a":1}', None).last_seq == 1
    assert runtime.post("kinds", b'{"a":2}\n{"a":3}\n', "application/x-ndjson").last_seq == 3
    assert runtime.post("kinds", b"a\n4\n5\n", "text/csv").last_seq == 5
    assert runtime.post("kinds", b'[{"a":6}]', "application/json").last_seq == 6
    with pytest.raises(UnsupportedMedia):
        runtime.post("kinds", b"<a/>", "application/xml")
    with pytest.raises(UnreadableBody):
        runtime.post("kinds", b'[{"a":', "application/json")
    with pytest.raises(FeedName):
        runtime.post("No", b'{"a":1}', None)
    drain(runtime)
    assert runtime.event("kinds", 4)["record"] == {"a": 4}


def test_repeats_are_recognised_by_key_and_by_batch(runtime: Runtime) -> None:
    body = b'[{"a":1},{"a":2}]'
    first = runtime.post("dedup", body, None, idempotency_key="k1")
    assert runtime.post("dedup", body, None, idempotency_key="k1") == first
    with pytest.raises(BatchConflict):
        runtime.post("dedup", b"[]", None, idempotency_key="k1")
    batch = runtime.post("dedup", body, None, producer="p", batch=3)
    assert runtime.post("dedup", body, None, producer="p", batch=3) == batch
    assert runtime.producer("dedup", "p").hello()["next_batch"] == 4
    assert runtime.feed("dedup")["last_seq"] == 4
    for wrong in ({"producer": "p", "batch": 0}, {"producer": "p", "batch": 2**60}, {"idempotency_key": ""}):
        with pytest.raises(BatchConflict, match="expected"):
            runtime.post("dedup", body, None, **wrong)


def test_an_unreadable_frame_that_was_remembered_is_refused_again_over_http(runtime: Runtime) -> None:
    session = runtime.producer("dedup2", "p")
    session.submit(b'{"a":1}')
    assert session.submit(b"nonsense")["type"] == "error"
    with pytest.raises(UnreadableBody):
        runtime.post("dedup2", b"nonsense", None, producer="p", batch=2)


def test_declaring_says_whether_it_changed_anything(runtime: Runtime) -> None:
    declared = FeedSchema.from_toml('[feed]\nname = "Shop"\nnumbers = ["a"]\nentities = ["b"]\n')
    changed, described = runtime.declare("declared", declared)
    assert changed
    assert (described["feed"], described["last_seq"], described["schema"]["name"]) == ("declared", 0, "Shop")
    assert runtime.declare("declared", declared)[0] is False
    runtime.post("declared", b'[{"a":1.0,"b":"x"}]', None)
    with pytest.raises(SchemaConflict, match="'b' is entity"):
        runtime.declare("declared", FeedSchema.from_toml('[feed]\nnumbers = ["b"]\n'))
    drain(runtime)
    assert runtime.feed("declared")["dead_letters"] == 0


def test_a_viewer_sees_alerts_points_and_figures_as_records_come(runtime: Runtime) -> None:
    viewer = runtime.subscribe("pay", 0)
    replayed = received(viewer, until="caught_up")
    assert [m["alert"]["seq"] for m in replayed[:-1]] == [a.seq for a in runtime.alerts("pay", 0, 1000)[0]]
    assert replayed[-1]["seq"] == runtime.feed("pay")["last_seq"]
    last = runtime.feed("pay")["last_seq"]
    runtime.post("pay", frame(last, 100), "application/json")
    seen = received(viewer, until="stats", timeout_s=30.0)
    while not any(point[0] == last + 100 for m in seen if m["type"] == "points" for point in m["points"]):
        seen += received(viewer, until="points", timeout_s=30.0)
    stats = received(viewer, until="stats")[-1]
    assert set(stats) >= {
        "events_per_second",
        "lag_records",
        "lag_s",
        "p99_ms",
        "promised_rate",
        "realised_rate",
        "shed",
    }
    viewer.close()
    fresh = runtime.subscribe("pay", None)
    opening = [received(fresh, until="caught_up"), received(fresh, until="points")]
    assert len(opening[0]) == 1
    assert len(opening[1][-1]["points"]) > 100
    fresh.close()


def test_a_directory_is_refused_to_a_second_runtime_and_free_after_stop(tmp_path: Path) -> None:
    with running(tmp_path, ManualClock()), pytest.raises(DataDirectoryInUse):
        Runtime.open(settings(tmp_path))
    with running(tmp_path, ManualClock()) as again:
        assert again.ready


def test_a_lock_taken_before_is_used_and_released_by_stop(tmp_path: Path) -> None:
    lock = DataDirectoryLock.acquire(tmp_path)
    runtime = Runtime.open(settings(tmp_path), lock=lock)
    runtime.start()
    runtime.stop(30.0)
    assert not lock.held


def test_a_directory_that_cannot_be_opened_is_let_go_again(tmp_path: Path) -> None:
    (tmp_path / "anomalyai.db").write_bytes(b"no database " * 1000)
    for _ in range(2):
        with pytest.raises(Exception, match="not a database"):
            Runtime.open(settings(tmp_path))


def test_nothing_is_taken_before_start_and_after_stop(tmp_path: Path) -> None:
    runtime = Runtime.open(settings(tmp_path))
    calls = (
        lambda: runtime.post("f", b'{"a":1}', None),
        lambda: runtime.producer("f", None),
        lambda: runtime.declare("f", FeedSchema()),
        lambda: runtime.install_model("f", "m"),
    )
    for call in calls:
        with pytest.raises(NotReady, match="not started"):
            call()
    runtime.start()
    assert runtime.post("f", b'{"a":1}', None).last_seq == 1
    runtime.stop(30.0)
    recovering = Runtime.open(settings(tmp_path))
    with pytest.raises(NotReady, match="not started"):
        recovering.subscribe("f", 0)
    recovering.stop(1.0)
    for call in calls:
        with pytest.raises(NotReady, match="stopping"):
            call()


def test_a_sender_that_is_too_fast_is_held_back_and_then_told_when_to_come_again(tmp_path: Path) -> None:
    with running(tmp_path, max_backlog_records=100, max_wait_s=0.05) as runtime:
        release, entered = threading.Event(), threading.Event()

        def hold(lane: object) -> None:
            entered.set()
            release.wait(60.0)

        held = runtime._engine.ask("f", hold)
        assert entered.wait(60.0)
        assert runtime.post("f", frame(0, 150), None).last_seq == 150
        with pytest.raises(Overloaded, match="150 records wait") as caught:
            runtime.post("f", frame(150, 10), None)
        assert caught.value.retry_after_s > 0
        assert runtime.feed("f")["lag"]["records"] == 150
        release.set()
        held.result(timeout=60)
        drain(runtime)
        assert runtime.post("f", frame(150, 10), None).last_seq == 160


def test_what_was_admitted_is_scored_before_stop_returns(tmp_path: Path) -> None:
    with running(tmp_path) as runtime:
        for first in range(0, 1200, 300):
            runtime.post("f", frame(first, 300), None)
    again = Runtime.open(settings(tmp_path))
    assert again.feed("f")["last_seq"] == 1200
    assert again._store.position("f")[1] == 1200
    again.stop(1.0)


def test_many_feeds_at_once_are_kept_apart(tmp_path: Path) -> None:
    with running(tmp_path) as runtime:

        def produce(feed: str) -> None:
            for first in range(0, 300, 50):
                runtime.post(feed, frame(first, 50), None)

        threads = [threading.Thread(target=produce, args=(f"f{i}",)) for i in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        drain(runtime)
        wait_until(lambda: all(feed["last_seq"] == 300 for feed in runtime.feeds()), "all records")
        alerts = [[(a.seq, a.score) for a in runtime.alerts(f"f{i}", 0, 100)[0]] for i in range(5)]
        assert alerts[0]
        assert all(found == alerts[0] for found in alerts)


def test_the_default_budget_of_the_settings_acts_in_new_feeds_and_survives_its_change(tmp_path: Path) -> None:
    changed = msgspec.structs.replace(settings(tmp_path), feed=FeedSettings(budget="20/day"))
    for configured in (changed, settings(tmp_path)):
        runtime = Runtime.open(configured, ManualClock())
        runtime.start()
        last = runtime.feed("f")["last_seq"] if runtime.feeds() else 0
        runtime.post("f", frame(last, 300), None)
        drain(runtime)
        described = runtime.feed("f")
        assert (described["budget"], described["dead_letters"]) == ("20/day", 0)
        runtime.stop(30.0)
