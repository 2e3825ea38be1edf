"""The hub: replay without hole or double, ten messages of points a second, and gaps that are told."""

from __future__ import annotations

import threading
import time

import msgspec
import numpy as np

from anomalyai.scored import ScoredBatch
from stream.hub import POINTS_A_MESSAGE, REPLAY_ALERTS, Hub, PublishedAlert, Subscription
from stream.message import Stats
from stream.viewer import ViewerQueue


class Store:
    """Alerts as the database would hold them: committed before they are published."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, bytes]] = []

    def read(self, feed: str, after: int, until: int, limit: int) -> list[tuple[int, bytes]]:
        return [row for row in self.rows if after < row[0] <= until][:limit]


def scored(first_seq: int, n: int = 10, peak: float = 1.0) -> ScoredBatch:
    score = np.zeros(n)
    score[-1] = peak
    return ScoredBatch(
        first_seq=first_seq,
        n=n,
        time_s=np.full(n, 7.0),
        score=score,
        flagged=score > 3,
        warming_up=np.zeros(n, dtype=bool),
        threshold=3.0,
        alerts=[],
    )


def commit(hub: Hub, store: Store, first_seq: int, n: int = 10) -> None:
    """Commit and publish a batch whose last record is an alert."""
    seq = first_seq + n - 1
    body = msgspec.json.encode({"id": f"f-{seq}", "seq": seq})
    store.rows.append((seq, body))
    hub.channel("f").publish(scored(first_seq, n, peak=9.0), [PublishedAlert(seq, body)])


def drain(subscription: Subscription) -> list[dict[str, object]]:
    messages = []
    while (message := subscription.next(0.0)) is not None:
        messages.append(msgspec.json.decode(message, type=dict[str, object]))
    return messages


def alert_seqs(messages: list[dict[str, object]]) -> list[int]:
    return [m["alert"]["seq"] for m in messages if m["type"] == "alert"]  # type: ignore[index]


def test_a_viewer_gets_the_replay_then_caught_up_then_the_line_then_what_comes() -> None:
    hub, store = Hub(), Store()
    for first in (1, 11, 21):
        commit(hub, store, first)
    hub.flush(0.0)
    subscription = hub.channel("f").subscribe(store.read, after=10)
    commit(hub, store, 31)
    hub.flush(1.0)
    messages = drain(subscription)
    kinds = [message["type"] for message in messages]
    assert kinds == ["alert", "alert", "caught_up", "points", "alert", "points"]
    assert alert_seqs(messages) == [20, 30, 40]
    assert messages[2] == {"type": "caught_up", "seq": 30}
    line, fresh = (
        [point[0] for point in message["points"]]  # type: ignore[attr-defined]
        for message in messages
        if message["type"] == "points"
    )
    assert line == list(range(1, 31))
    assert fresh == list(range(31, 41))
    assert messages[-1]["threshold"] == 3.0


def test_without_after_nothing_is_replayed() -> None:
    hub, store = Hub(), Store()
    commit(hub, store, 1)
    messages = drain(hub.channel("f").subscribe(store.read, after=None))
    assert messages == [{"type": "caught_up", "seq": 10}]


def test_after_a_restart_replay_covers_what_was_committed_before() -> None:
    hub, store = Hub(), Store()
    store.rows = [(5, b'{"seq":5}')]
    hub.channel("f").begin(8)
    hub.channel("f").fill(scored(1, 8))
    messages = drain(hub.channel("f").subscribe(store.read, after=0))
    assert [m["type"] for m in messages] == ["alert", "caught_up", "points"]
    assert messages[1]["seq"] == 8


def test_a_long_replay_comes_in_pages_and_is_complete() -> None:
    hub, store = Hub(), Store()
    for i in range(2 * REPLAY_ALERTS + 1):
        commit(hub, store, 1 + 10 * i)
    messages = drain(hub.channel("f").subscribe(store.read, after=0))
    assert alert_seqs(messages) == [10 * (i + 1) for i in range(2 * REPLAY_ALERTS + 1)]
    assert [m["type"] for m in messages].count("caught_up") == 1


def test_subscribing_while_alerts_pour_in_leaves_no_hole_and_no_double() -> None:
    hub, store = Hub(), Store()
    total = 400
    finished = threading.Event()

    def pour() -> None:
        for i in range(total):
            commit(hub, store, 1 + 10 * i)
            if i % 20 == 0:
                time.sleep(0.001)
        finished.set()

    seen: list[list[int]] = []

    def watch(after: int) -> None:
        subscription = hub.channel("f").subscribe(store.read, after)
        mine: list[int] = []
        while True:
            done = finished.is_set()
            message = subscription.next(0.05)
            if message is not None:
                decoded = msgspec.json.decode(message)
                assert decoded["type"] != "gap"
                if decoded["type"] == "alert":
                    mine.append(decoded["alert"]["seq"])
            elif done:
                break
        seen.append(mine)

    pourer = threading.Thread(target=pour)
    pourer.start()
    watchers = []
    for _ in range(6):
        time.sleep(0.004)
        watchers.append(threading.Thread(target=watch, args=(0,)))
        watchers[-1].start()
    for thread in [pourer, *watchers]:
        thread.join(timeout=60)
    assert seen == [[10 * (i + 1) for i in range(total)]] * 6


def test_points_come_at_most_ten_times_a_second_and_keep_the_peak() -> None:
    hub = Hub()
    channel = hub.channel("f")
    subscription = channel.subscribe(Store().read, after=None)
    messages = []
    for i in range(100):
        channel.publish(scored(1 + 1000 * i, 1000, peak=8.0 if i == 50 else 1.0), [])
        due_s = hub.flush(i * 0.01)
        messages += drain(subscription)
        assert due_s is None or i * 0.01 < due_s <= i * 0.01 + 0.1
    points = [m["points"] for m in messages if m["type"] == "points"]
    assert len(points) == 10
    assert all(len(p) <= POINTS_A_MESSAGE for p in points)  # type: ignore[arg-type]
    assert max(point[2] for p in points for point in p) == 8.0  # type: ignore[attr-defined]


def test_a_slow_viewer_is_told_which_alerts_it_missed_and_others_are_not_held_up() -> None:
    hub, store = Hub(), Store()
    slow = hub.channel("f").subscribe(store.read, after=None)
    quick = hub.channel("f").subscribe(store.read, after=None)
    seen: list[int] = []
    for i in range(1000):
        commit(hub, store, 1 + 10 * i)
        seen += alert_seqs(drain(quick))
    assert seen == [10 * (i + 1) for i in range(1000)]
    messages = drain(slow)
    gaps = [m for m in messages if m["type"] == "gap"]
    received = set(alert_seqs(messages))
    assert len(gaps) == 1
    missed = {
        seq
        for gap in gaps
        for seq, _ in store.read("f", gap["after"], gap["until"], 9999)  # type: ignore[arg-type]
    }
    assert received | missed == {10 * (i + 1) for i in range(1000)}
    assert received & missed == set()
    commit(hub, store, 10_001)
    assert alert_seqs(drain(slow)) == [10_010]


def test_stats_are_dropped_before_alerts_and_the_oldest_first() -> None:
    queue = ViewerQueue(max_messages=4)
    queue.put(b"stats1")
    queue.put_alert(1, b"alert1")
    queue.put(b"stats2")
    queue.put(b"stats3")
    queue.put_alert(2, b"alert2")
    assert [queue.get(0.0) for _ in range(5)] == [b"alert1", b"stats2", b"stats3", b"alert2", None]
    assert queue.dropped == 1
    for seq in range(4):
        queue.put_alert(seq, b"alert")
    queue.put(b"stats4")
    assert queue.dropped == 2
    assert [queue.get(0.0) for _ in range(5)] == [b"alert"] * 4 + [None]


def test_a_viewers_queue_is_bounded_in_bytes_too() -> None:
    queue = ViewerQueue(max_messages=100, max_bytes=1000)
    for seq in range(1, 6):
        queue.put_alert(seq, b"x" * 400)
    messages = [queue.get(0.0) for _ in range(4)]
    assert messages == [b"x" * 400, b"x" * 400, b'{"type":"gap","after":2,"until":5}', None]


def test_a_gap_names_revised_alerts_of_earlier_records_too() -> None:
    queue = ViewerQueue(max_messages=2)
    for seq in (10, 11, 12, 3):
        queue.put_alert(seq, b"alert")
    assert [queue.get(0.0) for _ in range(3)] == [b"alert", b"alert", b'{"type":"gap","after":2,"until":12}']


def test_a_waiting_viewer_is_woken_and_a_closed_one_gets_nothing_more() -> None:
    hub, store = Hub(), Store()
    subscription = hub.channel("f").subscribe(store.read, after=None)
    drain(subscription)
    got: list[bytes | None] = []
    waiting = threading.Thread(target=lambda: got.append(subscription.next(60.0)))
    waiting.start()
    commit(hub, store, 1)
    waiting.join(timeout=60)
    assert got == [b'{"type":"alert","alert":{"id":"f-10","seq":10}}']
    assert hub.channel("f").watched
    subscription.close()
    assert not hub.channel("f").watched
    commit(hub, store, 11)
    assert subscription.next(0.0) is None


def test_stats_reach_viewers_as_one_message() -> None:
    hub = Hub()
    subscription = hub.channel("f").subscribe(Store().read, after=None)
    figures = dict.fromkeys(Stats.__struct_fields__, 0) | {"events_per_second": 5.0, "p99_ms": None}
    hub.channel("f").stats(Stats(**figures))
    assert drain(subscription)[1:] == [{"type": "stats", **figures}]
