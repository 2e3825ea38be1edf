"""Promotions and rollbacks while producers run: nothing is left unscored, doubled, or other in a replay."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest

from anomalyai.model_store import ModelStore
from stream.secret import instance_secret
from tests.serving import ServerProcess
from tests.stream.champion.trained import COUNT, keep
from tests.stream.feeding import frame, outcome, rewind, running

FRAME_RECORDS = 100


class Load:
    """A producer that sends one frame after the other until it is told to stop."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0
        self.answers: set[int] = set()

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stop.is_set():
            answer = self._server.request("POST", "/feeds/f/events", frame(COUNT + self.sent, FRAME_RECORDS))
            self.answers.add(answer.status)
            self.sent += FRAME_RECORDS


def alert_ids(server: ServerProcess) -> list[str]:
    ids: list[str] = []
    after: int | None = 0
    while after is not None:
        page = server.request("GET", f"/feeds/f/alerts?after={after}&limit=1000").json
        ids += [alert["id"] for alert in page["alerts"]]
        after = page["next"]
    return ids


def swap_under_load(tmp_path: Path, times: int) -> int:
    """Promote and roll back so often; returns how many swaps the log has."""
    server = ServerProcess(tmp_path / "data").start()
    try:
        store = ModelStore(server.data / "models", instance_secret(server.data))
        first, second = keep(store).id, keep(store, "kmeans").id
        assert server.request("POST", f"/models/{first}/promote").status == 200
        with Load(server) as load:
            for _ in range(times):
                put_in = server.request("POST", f"/models/{second}/promote")
                assert put_in.status == 200, put_in.json
                assert put_in.json["previous"] == first
                back = server.request("POST", "/feeds/f/models/rollback")
                assert back.status == 200, back.json
                assert (back.json["model"], back.json["previous"]) == (first, second)
        assert load.answers == {202}
        deadline = time.monotonic() + 60
        while (feed := server.request("GET", "/feeds/f").json)["lag"]["records"]:
            assert time.monotonic() < deadline, feed
            time.sleep(0.1)
        assert (feed["accepted"], feed["refused_model"], feed["dead_letters"]) == (load.sent, None, 0)
        # one more where records overtook the first: it was refused, and asked again
        assert len(feed["promotions"]) - (1 + 2 * times) in (0, 1)
        ids = alert_ids(server)
        assert len(set(ids)) == len(ids) == feed["alerts"]
        assert server.stop()[0] == 0, server.stderr()
    finally:
        server.kill()
    live = outcome(server.data)
    with_records = {entry for entry, _, first_seq, _, _ in live.entries if first_seq is not None}
    assert set(live.scores) == with_records
    assert sum(n for _, _, _, n, _ in live.entries) == load.sent
    swaps = [entry for entry, kind, _, _, _ in live.entries if kind == "model"]
    rewind(server.data, 0)
    shutil.rmtree(server.data / "snapshots")
    with running(server.data):
        pass
    again = outcome(server.data)
    assert again.alerts == live.alerts
    assert again == live
    return len(swaps)


def test_fifty_promotions_and_rollbacks_under_load(tmp_path: Path) -> None:
    assert swap_under_load(tmp_path, 50) in (101, 102)


@pytest.mark.soak
def test_a_thousand_promotions_and_rollbacks_under_load(tmp_path: Path) -> None:
    assert swap_under_load(tmp_path, 1_000) in (2_001, 2_002)
