"""Admission: numbering, first answers for repeats, and going back when the log refuses."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import msgspec
import pytest

from anomalyai.control import BudgetChange, SchemaChange
from anomalyai.errors import SchemaConflict, UnreadableBody
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from stream import dedup
from stream.dedup import Ack, Key
from stream.errors import BatchConflict, FeedName, LogFailure, UnknownFeed
from tests.stream.conftest import RunningLog, json_body, rows, send


def stored_records(log: RunningLog, feed: str = "f") -> list[dict[str, object]]:
    """Every record of a feed as the log gives it back, checked to be numbered without gaps."""
    schema, records = FeedSchema(), list[dict[str, object]]()
    for stored in log.reader.read(feed, after=0):
        item = stored.decode(schema)
        if isinstance(item.control, SchemaChange):
            schema = item.control.schema
        if item.records is not None:
            assert item.first_seq == len(records) + 1
            records += [item.records.record(i) for i in range(item.n)]
    return records


def test_records_are_numbered_from_one_without_gaps_and_the_log_holds_exactly_them(
    running_log: RunningLog,
) -> None:
    feeds = running_log.feeds()
    assert send(feeds, rows(0, 3)) == Ack(3, [], 0, 1, 3)
    mixed = b'[{"a":3.0,"b":"x0"},{"a":"wrong","b":"x1"},7,{"a":4.0,"b":"x1"}]'
    ack = send(feeds, mixed)
    assert (ack.accepted, ack.first_seq, ack.last_seq) == (2, 4, 5)
    assert [rejection.index for rejection in ack.rejected] == [1, 2]
    assert send(feeds, b"[]") == Ack(0, [], 0, None, None)
    assert [record["a"] for record in stored_records(running_log)] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert feeds.names() == ["f"]
    feed = feeds.get("f")
    assert (feed.durable_seq, feed.counts.rejected) == (5, 2)


def test_a_large_body_becomes_several_entries_of_one_transaction(
    running_log: RunningLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds = running_log.feeds()
    send(feeds, rows(0, 500))
    monkeypatch.setattr("stream.admission.MAX_ENTRY_RECORDS", 300)
    commits = running_log.writer.commits
    assert send(feeds, rows(500, 700)) == Ack(700, [], 0, 501, 1200)
    assert running_log.writer.commits == commits + 1
    assert [item.n for item in running_log.items[-3:]] == [300, 300, 100]
    assert [record["a"] for record in stored_records(running_log)] == [float(i) for i in range(1200)]
    assert running_log.backlog.records == 1200


def test_what_waits_for_the_engine_is_counted(running_log: RunningLog) -> None:
    feeds = running_log.feeds()
    send(feeds, rows(0, 3))
    assert running_log.backlog.records == 3
    assert running_log.backlog.size_bytes == sum(item.size_bytes for item in running_log.items if item.n)


def test_schema_and_records_are_handed_over_decoded_in_log_order(running_log: RunningLog) -> None:
    feeds = running_log.feeds()
    send(feeds, rows(0, 30))
    kinds = [type(item.payload) for item in running_log.items]
    assert kinds[0] is SchemaChange
    assert sum(item.n for item in running_log.items) == 30
    entries = [item.entry for item in running_log.items]
    assert entries == [stored.entry for stored in running_log.reader.read("f", after=0)]
    schema = FeedSchema()
    for item in running_log.items:
        if isinstance(item.payload, SchemaChange):
            schema = item.payload.schema
        else:
            assert isinstance(item.payload, RecordBatch)
            assert item.payload.schema == schema


def test_a_feed_does_not_begin_with_a_body_that_brings_nothing(running_log: RunningLog) -> None:
    feeds = running_log.feeds()
    with pytest.raises(UnreadableBody):
        send(feeds, b"[1,")
    assert send(feeds, b"[7]").accepted == 0
    assert feeds.names() == []
    with pytest.raises(UnknownFeed, match="'f'"):
        feeds.get("f")


@pytest.mark.parametrize("name", ["", "A", "-a", "a" * 65, "a b", "ä", "a/b"])
def test_a_wrong_feed_name_is_refused(running_log: RunningLog, name: str) -> None:
    with pytest.raises(FeedName, match="expected a feed name"):
        send(running_log.feeds(), rows(0, 1), feed=name)


def test_the_number_of_feeds_is_bounded(running_log: RunningLog) -> None:
    feeds = running_log.feeds(max_feeds=2)
    for feed in ("a", "b"):
        send(feeds, rows(0, 1), feed=feed)
    with pytest.raises(FeedName, match="2 feeds") as caught:
        send(feeds, rows(0, 1), feed="c")
    assert caught.value.code == "too_many_feeds"
    assert send(feeds, rows(1, 1), feed="b").first_seq == 2


@pytest.mark.parametrize("key", [Key.of_header("abc"), Key.of_batch("p", 1)], ids=["header", "batch"])
def test_a_repeat_gets_the_first_answer_and_another_body_is_refused_also_after_a_restart(
    running_log: RunningLog, key: Key
) -> None:
    body = b'[{"a":1.5,"b":"x"},{"a":"wrong","b":"y"}]'
    feeds = running_log.feeds()
    send(feeds, rows(0, 2))
    first = send(feeds, body, key)
    send(feeds, rows(2, 2))
    assert (first.accepted, first.first_seq, len(first.rejected)) == (1, 3, 1)
    for again in (feeds, running_log.feeds()):
        assert send(again, body, key) == first
        with pytest.raises(BatchConflict, match="another body"):
            send(again, rows(9, 1), key)
    assert send(feeds, rows(4, 1), feed="other", key=key).first_seq == 1
    assert len(stored_records(running_log)) == 5
    assert running_log.feeds().get("f").counts.key_count == 1


def test_a_repeat_that_comes_while_the_first_waits_is_answered_with_it(waiting_log: RunningLog) -> None:
    feeds, key = waiting_log.feeds(), Key.of_header("abc")
    first = feeds.admit("f", json_body(rows(0, 2), key))
    again = feeds.admit("f", json_body(rows(0, 2), key))
    assert not again.done()
    with pytest.raises(BatchConflict):
        feeds.admit("f", json_body(rows(1, 2), key))
    waiting_log.start()
    assert first.result() == again.result()
    assert len(stored_records(waiting_log)) == 2


def test_a_body_of_rejects_alone_is_remembered_in_a_feed_that_exists(running_log: RunningLog) -> None:
    feeds, key = running_log.feeds(), Key.of_header("bad")
    send(feeds, rows(0, 1))
    first = send(feeds, b"[7]", key)
    assert (first.accepted, len(first.rejected)) == (0, 1)
    assert send(running_log.feeds(), b"[7]", key) == first
    assert running_log.feeds().get("f").counts == dedup.Counts(rejected=1, shed=0, key_count=1)


def test_old_keys_are_forgotten_and_an_older_batch_is_then_refused(
    running_log: RunningLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.dedup.REMEMBERED", 10)
    monkeypatch.setattr("stream.recall.REMEMBERED", 10)
    monkeypatch.setattr("stream.dedup.FORGET_EVERY", 4)
    feeds = running_log.feeds()
    for batch in range(1, 21):
        send(feeds, rows(batch, 1), Key.of_batch("p", batch))
    assert send(feeds, rows(20, 1), Key.of_batch("p", 20)).first_seq == 20
    with pytest.raises(BatchConflict, match="older than the last 10"):
        send(feeds, rows(3, 1), Key.of_batch("p", 3))
    with running_log.database.reader.connect() as connection:
        assert connection.exec_driver_sql("SELECT min(number), max(number) FROM dedup").one() == (11, 20)


def test_producers_go_on_where_they_were_and_their_number_is_bounded(running_log: RunningLog) -> None:
    feeds = running_log.feeds(max_producers=2)
    send(feeds, rows(0, 1), Key.of_batch("p", 4))
    send(feeds, rows(1, 1), Key.of_batch("q", 1))
    send(feeds, rows(2, 1), Key.of_batch("p", 2))
    for again in (feeds, running_log.feeds(max_producers=2)):
        feed = again.get("f")
        assert [feed.next_batch(name) for name in ("p", "q", "r")] == [5, 2, 1]
        with pytest.raises(BatchConflict, match="no more fit"):
            send(again, rows(3, 1), Key.of_batch("r", 1))


def test_when_the_disk_is_full_nobody_is_acknowledged_and_the_feed_goes_back(
    waiting_log: RunningLog,
) -> None:
    feeds = waiting_log.feeds()
    key = Key.of_batch("p", 1)
    waiting_log.fill_disk()
    large = rows(0, 15_000)
    failing = [
        feeds.admit("f", json_body(large, key)),
        feeds.admit("f", json_body(rows(5, 1), Key.of_batch("p", 2))),
    ]
    waiting_log.start()
    for pending in failing:
        with pytest.raises(LogFailure):
            pending.result()
    assert waiting_log.backlog.records == 0
    assert feeds.names() == []
    assert send(feeds, rows(0, 2), key) == Ack(2, [], 0, 1, 2)
    assert send(feeds, rows(2, 2), Key.of_batch("p", 2)) == Ack(2, [], 0, 3, 4)
    with pytest.raises(LogFailure, match="disk is full"):
        send(feeds, large)
    assert send(feeds, rows(4, 1)) == Ack(1, [], 0, 5, 5)
    assert [record["a"] for record in stored_records(waiting_log)] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert feeds.get("f").schema == waiting_log.feeds().get("f").schema
    assert waiting_log.backlog.records == 5


def test_an_error_inside_the_intake_leaves_the_feed_as_it_was(running_log: RunningLog) -> None:
    feeds = running_log.feeds()
    send(feeds, rows(0, 1))

    def broken(intake: object, arrival_s: float) -> object:
        feeds.get("f")._intake.admit(rows(1, 3), "application/json")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        feeds.admit("f", json_body(b"")._replace(read=broken))  # type: ignore[arg-type]
    assert feeds.get("f")._intake.accepted == 1
    assert send(feeds, rows(1, 1)).first_seq == 2


def test_declaring_makes_a_feed_and_an_equal_declaration_changes_nothing(running_log: RunningLog) -> None:
    declared = FeedSchema.from_toml('[feed]\nentities = ["b"]\nnumbers = ["a"]\n')
    feeds = running_log.feeds()
    made = feeds.declare("f", declared)
    assert made is not None
    made.result(timeout=60)
    assert feeds.names() == ["f"]
    for again in (feeds, running_log.feeds()):
        assert again.declare("f", declared) is None
        assert again.get("f").schema.entities == ("b",)
    send(feeds, rows(0, 3))
    with pytest.raises(SchemaConflict, match="'b' is entity"):
        feeds.declare("f", FeedSchema.from_toml('[feed]\nnumbers = ["b"]\n'))
    assert send(feeds, rows(3, 3)).last_seq == 6


def test_an_empty_declaration_makes_a_feed_too(running_log: RunningLog) -> None:
    feeds = running_log.feeds()
    made = feeds.declare("f", FeedSchema())
    assert made is not None
    made.result(timeout=60)
    assert running_log.feeds().names() == ["f"]
    assert feeds.declare("f", FeedSchema()) is None


def test_a_default_budget_of_its_own_stands_in_the_log_of_a_new_feed(running_log: RunningLog) -> None:
    feeds = running_log.feeds(default_budget="20/day")
    send(feeds, rows(0, 1))
    send(feeds, rows(1, 1))
    kinds = [stored.kind for stored in running_log.reader.read("f", after=0)]
    assert kinds == ["budget", "schema", "records", "records"]
    assert running_log.reader.last_control("f", "budget") == BudgetChange("20/day")


def test_a_restart_between_any_two_bodies_changes_nothing(running_log: RunningLog) -> None:
    # whether `label` is one depends on all of the first 500 records
    records = [{"a": float(i), "label": 5 if i < 10 else i % 2} for i in range(600)]
    bodies = [msgspec.json.encode(records[i : i + 20]) for i in range(0, 600, 20)]
    steady, restarted = running_log.feeds(), running_log.feeds()
    for i, body in enumerate(bodies):
        send(steady, body, feed="steady")
        send(restarted, body, feed="restarted")
        if i % 3 == 0:
            restarted = running_log.feeds()
    assert steady.get("steady").schema == restarted.get("restarted").schema
    assert steady.get("steady").schema.settled
    logs = [list(running_log.reader.read(feed, after=0)) for feed in ("steady", "restarted")]
    assert [(e.kind, e.n, e.body) for e in logs[0]] == [(e.kind, e.n, e.body) for e in logs[1]]


def test_many_senders_at_once_lose_and_double_nothing(running_log: RunningLog) -> None:
    feeds = running_log.feeds()
    acks: list[tuple[int, Ack]] = []

    def produce(sender: int) -> None:
        for i in range(30):
            first = sender * 1000 + i * 2
            acks.append((first, send(feeds, rows(first, 2), Key.of_batch(f"p{sender}", i + 1))))

    threads = [threading.Thread(target=produce, args=(sender,)) for sender in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    records = stored_records(running_log)
    assert len(records) == 360
    for first, ack in acks:
        assert ack.first_seq is not None
        assert records[ack.first_seq - 1]["a"] == first
        assert records[ack.first_seq]["a"] == first + 1


def test_answers_survive_the_way_through_the_database(running_log: RunningLog, tmp_path: Path) -> None:
    feeds, key = running_log.feeds(), Key.of_header("many")
    send(feeds, rows(0, 1))
    body = msgspec.json.encode([{"a": "no"}] * 2000)
    first = send(feeds, body, key)
    assert len(first.rejected) == 2000
    assert send(running_log.feeds(), body, key) == first
    with running_log.database.reader.connect() as connection:
        size_bytes = connection.exec_driver_sql("SELECT length(answer) FROM dedup").scalar_one()
    assert size_bytes < 40_000


def test_feeds_may_begin_while_others_are_listed(running_log: RunningLog) -> None:
    feeds, stop, failures = running_log.feeds(max_feeds=1_000), threading.Event(), list[BaseException]()

    def look() -> None:
        try:
            while not stop.is_set():
                feeds.names()
        except RuntimeError as error:
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    looking = threading.Thread(target=look)
    looking.start()
    try:
        for number in range(150):
            send(feeds, rows(0, 1), feed=f"feed-{number}")
    finally:
        stop.set()
        looking.join()
        sys.setswitchinterval(interval)
    assert failures == []
    assert len(feeds.names()) == 150
