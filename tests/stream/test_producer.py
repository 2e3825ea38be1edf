"""Producer sessions: numbering across connections, first answers, taking over, and closing on failure."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from stream.errors import FeedName, LogFailure, NotReady, Superseded
from stream.producer import WINDOW_FRAMES, ProducerSession, Sessions
from tests.stream.conftest import RunningLog, rows


def sessions(log: RunningLog) -> Sessions:
    return Sessions(log.feeds(), log.backlog, max_frame_bytes=1 << 20)


def enveloped(batch: int, first: int, n: int = 2) -> bytes:
    return b'{"batch":%d,"records":%b}' % (batch, rows(first, n))


def submit(session: ProducerSession, frame: bytes | str) -> dict[str, Any]:
    """Submit a frame and take the message through JSON, as a socket would."""
    return msgspec.json.decode(msgspec.json.encode(session.submit(frame)), type=dict[str, Any])


def test_hello_says_where_to_go_on_and_every_frame_is_answered(running_log: RunningLog) -> None:
    table = sessions(running_log)
    session = table.open("f", "p")
    assert session.hello() == {
        "type": "hello",
        "feed": "f",
        "next_batch": 1,
        "credit": WINDOW_FRAMES,
        "max_frame_bytes": 1 << 20,
    }
    assert submit(session, rows(0, 2)) == {
        "type": "ack",
        "batch": 1,
        "accepted": 2,
        "rejected": [],
        "shed": 0,
        "first_seq": 1,
        "last_seq": 2,
        "credit": WINDOW_FRAMES,
    }
    ack = submit(session, '{"a": "wrong", "b": "x"}')
    assert (ack["batch"], ack["accepted"], ack["first_seq"]) == (2, 0, None)
    assert [rejection["index"] for rejection in ack["rejected"]] == [0]
    assert submit(session, b'{"batch":3,"columns":{"a":[1.5,2.5],"b":["x","y"]}}')["last_seq"] == 4
    session.close()
    assert table.open("f", "p").hello()["next_batch"] == 4
    assert table.open("f", "q").hello()["next_batch"] == 1
    assert table.open("g", "p").hello()["next_batch"] == 1
    assert sessions(running_log).open("f", "p").hello()["next_batch"] == 4


def test_a_repeated_batch_gets_its_first_ack_and_one_above_the_next_is_an_error(
    running_log: RunningLog,
) -> None:
    session = sessions(running_log).open("f", "p")
    first = submit(session, enveloped(1, 0))
    second = submit(session, enveloped(2, 2))
    again = sessions(running_log).open("f", "p")
    assert submit(again, enveloped(1, 0)) == first
    assert submit(again, enveloped(2, 2)) == second
    conflict = submit(again, enveloped(2, 9))
    assert (conflict["type"], conflict["error"]["code"]) == ("error", "batch_conflict")
    ahead = submit(again, enveloped(4, 4))
    assert (ahead["type"], ahead["batch"], ahead["error"]["field"]) == ("error", 4, "batch")
    assert "expected batch 3" in ahead["error"]["message"]
    assert submit(again, enveloped(3, 4))["first_seq"] == 5


def test_the_repeat_of_a_frame_is_known_by_its_records_with_or_without_envelope(
    running_log: RunningLog,
) -> None:
    session = sessions(running_log).open("f", "p")
    first = submit(session, rows(0, 2))
    assert submit(sessions(running_log).open("f", "p"), enveloped(1, 0)) == first


@pytest.mark.parametrize("begun", [True, False])
def test_an_unreadable_frame_uses_its_number_up_and_the_session_goes_on(
    running_log: RunningLog, begun: bool
) -> None:
    table = sessions(running_log)
    session = table.open("f", "p")
    if begun:
        submit(session, rows(0, 1))
    batch = 2 if begun else 1
    error = submit(session, b"nonsense")
    assert (error["type"], error["batch"]) == ("error", batch)
    assert error["error"]["code"] == "unreadable_body"
    assert error["credit"] == WINDOW_FRAMES
    assert submit(session, rows(1, 1))["batch"] == batch + 1
    if begun:
        again = table.open("f", "p")
        assert again.hello()["next_batch"] == batch + 2
        assert submit(again, enveloped(1, 0, 1))["first_seq"] == 1
        assert submit(again, enveloped(batch + 2, 5))["type"] == "ack"


def test_a_frame_above_the_limit_is_refused(running_log: RunningLog) -> None:
    session = Sessions(running_log.feeds(), running_log.backlog, max_frame_bytes=100).open("f", None)
    error = submit(session, b" " * 101)
    assert (error["error"]["code"], error["batch"]) == ("too_large", 1)
    assert submit(session, b'{"a":1}')["batch"] == 2


def test_without_a_name_frames_are_counted_and_repeats_are_new_records(running_log: RunningLog) -> None:
    table = sessions(running_log)
    session = table.open("f", None)
    acks = [submit(session, rows(0, 1)) for _ in range(2)]
    assert [(ack["batch"], ack["last_seq"]) for ack in acks] == [(1, 1), (2, 2)]
    other = table.open("f", None)
    assert not session.superseded.is_set()
    assert submit(other, enveloped(1, 0))["last_seq"] == 4
    assert submit(other, enveloped(1, 0))["last_seq"] == 6


def test_a_second_connection_takes_over_and_the_first_may_add_nothing_more(running_log: RunningLog) -> None:
    table = sessions(running_log)
    first = table.open("f", "p")
    submit(first, rows(0, 1))
    second = table.open("f", "p")
    assert first.superseded.is_set()
    assert not second.superseded.is_set()
    with pytest.raises(Superseded, match="took over"):
        first.submit(rows(1, 1))
    first.close()
    assert submit(second, rows(1, 1))["batch"] == 2
    third = table.open("f", "p")
    assert second.superseded.is_set()
    assert third.hello()["next_batch"] == 3


def test_frames_may_be_begun_before_the_ones_before_are_durable(waiting_log: RunningLog) -> None:
    session = sessions(waiting_log).open("f", "p")
    begun = [session.begin(rows(2 * i, 2)) for i in range(5)]
    assert not any(pending.done() for pending in begun)
    waiting_log.start()
    messages = [pending.message() for pending in begun]
    assert [message["batch"] for message in messages] == [1, 2, 3, 4, 5]
    assert [message["last_seq"] for message in messages] == [2, 4, 6, 8, 10]
    assert all(pending.done() for pending in begun)


def test_when_the_log_fails_the_session_ends_and_the_next_goes_on_at_the_lost_batch(
    waiting_log: RunningLog,
) -> None:
    table = sessions(waiting_log)
    waiting_log.fill_disk()
    session = table.open("f", "p")
    lost = [session.begin(rows(0, 15_000)), session.begin(rows(15_000, 1))]
    waiting_log.start()
    for pending in lost:
        with pytest.raises(LogFailure):
            pending.message()
    with pytest.raises(LogFailure):
        session.begin(rows(15_001, 1))
    again = table.open("f", "p")
    assert again.hello()["next_batch"] == 1
    assert submit(again, rows(0, 2))["last_seq"] == 2


def test_a_session_waits_while_too_much_waits_for_the_engine_and_leaves_when_the_server_stops(
    running_log: RunningLog,
) -> None:
    table = sessions(running_log)
    session = table.open("f", None)
    running_log.backlog.add(2_000_000, 0)
    answers: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: answers.append(session.submit(rows(0, 1))))
    waiting.start()
    waiting.join(timeout=0.2)
    assert answers == []
    running_log.backlog.remove(2_000_000, 0)
    waiting.join(timeout=60)
    assert answers[0]["accepted"] == 1
    running_log.backlog.close()
    with pytest.raises(NotReady, match="stopping"):
        session.submit(rows(1, 1))


def test_a_wrong_feed_name_is_refused_at_once(running_log: RunningLog) -> None:
    with pytest.raises(FeedName):
        sessions(running_log).open("No Feed", "p")


def test_the_credit_falls_as_the_backlog_fills_and_one_frame_may_always_wait(running_log: RunningLog) -> None:
    session = sessions(running_log).open("f", "p")
    free = session.begin(rows(0, 2))
    assert free.message(following=3)["credit"] == WINDOW_FRAMES
    credits = []
    for share in (500_000, 250_000, 125_000, 124_998):
        pending = session.begin(rows(0, 0))
        running_log.backlog.add(share, 0)
        credits.append((pending.message(following=3)["credit"], pending.message()["credit"]))
    assert credits == [(7, 7), (3, 3), (1, 1), (0, 1)]
    assert session.hello()["credit"] == 1


def test_a_feed_that_sheds_keeps_its_credit_and_does_not_wait(running_log: RunningLog) -> None:
    feeds = running_log.feeds(policies=["f=shed"])
    session = Sessions(feeds, running_log.backlog, max_frame_bytes=1 << 20).open("f", "p")
    submit(session, rows(0, 500))
    running_log.backlog.add(1_000_000, 0)
    ack = submit(session, rows(500, 3))
    assert (ack["accepted"], ack["shed"], ack["credit"]) == (0, 3, WINDOW_FRAMES)
    running_log.backlog.close()
    with pytest.raises(NotReady, match="stopping"):
        session.begin(rows(503, 3))
