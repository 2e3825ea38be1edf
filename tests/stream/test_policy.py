"""What is shed at admission: who is chosen, that it is counted, and that a repeat is answered as before."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest

from stream.backlog import Backlog
from stream.dedup import Ack, Key
from stream.errors import LogFailure
from stream.policy import Policies, one_of_each, run_length
from stream.producer import Sessions
from tests.stream.conftest import RunningLog, rows, send
from tests.stream.test_admission import stored_records


def test_of_every_run_exactly_one_record_is_taken_however_the_records_are_cut() -> None:
    whole = one_of_each(8, 0, 8_000)
    assert np.array_equal(whole // 8, np.arange(1_000))
    cuts = [0, 1, 7, 8, 9, 500, 501, 3_333, 8_000]
    parts = [a + one_of_each(8, a, b - a) for a, b in itertools.pairwise(cuts)]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("rhythm", [2, 3, 4, 5, 8, 16, 60])
def test_a_rhythm_in_the_feed_does_not_bias_the_sample(rhythm: int) -> None:
    """Where records come in turns from `rhythm` senders, each sender keeps about the same share."""
    taken = one_of_each(8, 0, 8 * 60_000)
    shares = np.bincount(taken % rhythm, minlength=rhythm) / len(taken)
    assert np.abs(shares * rhythm - 1.0).max() < 0.15


def test_the_share_halves_each_time_the_room_that_is_left_has_halved() -> None:
    fills = [0.0, 0.5, 0.75, 0.875, 1 - 2**-10]
    assert [run_length(fill) for fill in fills] == [1, 2, 4, 8, 1024]
    assert run_length(1.0) == run_length(7.0) == 0


def test_policies_are_set_for_all_and_by_name() -> None:
    policies = Policies(Backlog(10, 10), "sample", ["a=shed", "b=block"])
    assert [policies.of(feed) for feed in ("a", "b", "c")] == ["shed", "block", "sample"]
    assert policies.choose("b") is None
    assert policies.choose("a") is not None


def test_a_large_body_is_sampled_more_thinly_as_it_fills_the_backlog() -> None:
    choose = Policies(Backlog(10_000, 1 << 30), "sample").choose("f")
    assert choose is not None
    places = choose(0, 100_000, 0)
    assert places is not None
    assert np.array_equal(places[:5_000], np.arange(5_000))
    gaps = [len(places[(places >= a) & (places < a + 8_000)]) for a in range(0, 96_000, 8_000)]
    assert gaps == sorted(gaps, reverse=True)
    assert 9_000 < len(places) <= 10_000


def calm(log: RunningLog, room: int, policy: str) -> dict[str, object]:
    """Settle a feed's kinds with 500 records, then leave room for some more in the backlog."""
    send(log.feeds(policies=[f"f={policy}"]), rows(0, 500))
    log.backlog.add(1_000_000 - 500 - room, 0)
    return {"policies": [f"f={policy}"]}


def test_what_does_not_fit_is_shed_and_gets_no_number(running_log: RunningLog) -> None:
    settings = calm(running_log, 10, "shed")
    feeds = running_log.feeds(**settings)
    assert send(feeds, rows(500, 25)) == Ack(10, [], 15, 501, 510)
    assert send(feeds, rows(525, 5)) == Ack(0, [], 5, None, None)
    running_log.backlog.remove(100, 0)
    assert send(feeds, rows(530, 5)) == Ack(5, [], 0, 511, 515)
    assert feeds.get("f").counts.shed == 20
    kept = [*range(510), *range(530, 535)]
    assert [record["a"] for record in stored_records(running_log)] == [float(i) for i in kept]


@pytest.mark.parametrize("policy", ["shed", "sample"])
def test_a_bad_record_is_rejected_at_its_place_whatever_is_shed(running_log: RunningLog, policy: str) -> None:
    feeds = running_log.feeds(**calm(running_log, 2, policy))
    records = msgspec.json.decode(rows(500, 30))
    records[3] = 7
    records[29]["a"] = "wrong"
    ack = send(feeds, msgspec.json.encode(records))
    assert [rejection.index for rejection in ack.rejected] == [3, 29]
    assert ack.accepted + ack.shed == 28
    assert ack.accepted <= 2
    assert feeds.get("f").counts.rejected == 2


def test_rows_and_columns_are_thinned_alike(running_log: RunningLog) -> None:
    """Two feeds at the same fill keep the same records, whether they came as rows or as columns."""
    records = msgspec.json.decode(rows(500, 400))
    columns = {name: [record[name] for record in records] for name in ("a", "b")}
    settings = {"policies": ["f=sample", "g=sample"]}
    feeds = running_log.feeds(**settings)
    for feed in ("f", "g"):
        send(feeds, rows(0, 500), feed=feed)
    running_log.backlog.add(800_000, 0)
    frames = {"f": msgspec.json.encode(records), "g": msgspec.json.encode({"batch": 1, "columns": columns})}
    acks = {}
    sessions = Sessions(feeds, running_log.backlog, 1 << 20)
    for feed, frame in frames.items():
        acks[feed] = sessions.open(feed, "p").submit(frame)
        assert (acks[feed]["accepted"], acks[feed]["shed"]) == (100, 300)
    assert stored_records(running_log, "f") == stored_records(running_log, "g")
    assert {record["b"] for record in stored_records(running_log, "f")} == {"x0", "x1", "x2"}


@pytest.mark.parametrize("key", [Key.of_header("abc"), Key.of_batch("p", 1)], ids=["header", "batch"])
def test_a_repeat_of_a_shed_batch_gets_the_first_answer_also_when_there_is_room_and_after_a_restart(
    running_log: RunningLog, key: Key
) -> None:
    settings = calm(running_log, 10, "shed")
    feeds = running_log.feeds(**settings)
    first = send(feeds, rows(500, 25), key)
    assert (first.accepted, first.shed) == (10, 15)
    running_log.backlog.remove(1_000, 0)
    assert send(feeds, rows(500, 25), key) == first
    again = running_log.feeds(**settings)
    assert again.get("f").counts.shed == 15
    assert send(again, rows(500, 25), key) == first
    assert len(stored_records(running_log)) == 510


def test_the_choice_goes_on_after_a_restart_where_it_was(running_log: RunningLog) -> None:
    settings = calm(running_log, 1_000_000 - 500, "sample")
    running_log.backlog.add(750_000, 0)  # one of four
    for first in range(500, 2_500, 37):
        send(running_log.feeds(**settings), rows(first, min(37, 2_500 - first)))
    kept = [int(str(record["a"]).split(".")[0]) for record in stored_records(running_log)[500:]]
    assert kept == (500 + one_of_each(4, 500, 2_000)).tolist()


def test_the_records_that_settle_the_kinds_are_never_shed(running_log: RunningLog) -> None:
    running_log.backlog.add(1_000_000, 0)
    feeds = running_log.feeds(policies=["f=shed"])
    ack = send(feeds, rows(0, 700))
    assert (ack.accepted, ack.shed) == (500, 200)
    assert running_log.feeds().get("f").schema.settled


def test_what_the_log_refuses_is_not_counted_as_shed(waiting_log: RunningLog) -> None:
    waiting_log.backlog.add(1_000_000, 0)
    feeds = waiting_log.feeds(policies=["f=shed"])
    waiting_log.start()
    send(feeds, rows(0, 500))
    waiting_log.writer.close()
    waiting_log.thread.join(60)
    with pytest.raises(LogFailure):
        send(feeds, rows(500, 5))
    feeds.get("f").next_batch("p")  # the next one to come goes back to before the failure
    assert feeds.get("f").counts.shed == 0
