"""The disk fails under a real server: it says so, acknowledges nothing more, and a restart has every ack.

`RLIMIT_FSIZE` stands for a full disk, a preloaded shim for a disk that turned read-only and for an fsync that
fails; the log and the snapshots are flipped and cut by hand.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stream.database import FILE_NAME, PAGE_BYTES, Database
from stream.errors import DataDirectoryInUse
from stream.repair import repair
from tests.serving import Answer, ServerProcess
from tests.stream.feeding import records, wait_until

NewServer = Callable[..., ServerProcess]

SOURCE = Path(__file__).with_name("disk_fault.c")
FRAME = 40
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the shim with the system's compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler on this machine to build the shim with")
    library = tmp_path_factory.mktemp("shim") / "disk_fault.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return library


class Producer:
    """Posts numbered batches to one feed; `acked` counts the records that were acknowledged."""

    def __init__(self) -> None:
        self.batch = 1
        self.acked = 0

    def post(self, server: ServerProcess) -> Answer:
        """Send the next batch once; it counts, and is not sent again, only if it was acknowledged."""
        made = records(self.acked, FRAME)
        answer = server.post("f", made, f"?producer=p&batch={self.batch}")
        if answer.status == 202:
            assert answer.json["last_seq"] == self.acked + FRAME
            self.acked += FRAME
            self.batch += 1
        return answer

    def until_refused(self, server: ServerProcess) -> dict[str, Any]:
        """Send until nothing is taken; returns the error."""
        deadline = time.monotonic() + PATIENCE_S
        while (answer := self.post(server)).status == 202:
            assert time.monotonic() < deadline, "the fault was never noticed"
        assert answer.status == 503
        return answer.error

    def check(self, server: ServerProcess) -> None:
        """Check that a restarted server has every acknowledged record, once, and takes the next ones."""
        feed = server.request("GET", "/feeds/f").json
        assert self.acked <= feed["last_seq"] <= self.acked + FRAME, "a batch without its ack may be there"
        for seq in (1, self.acked):
            made = records(seq - 1 - (seq - 1) % FRAME, FRAME)[(seq - 1) % FRAME]
            assert server.request("GET", f"/feeds/f/events/{seq}").json["record"] == made
        for _ in range(2):
            assert self.post(server).status == 202
        assert server.request("GET", "/feeds/f").json["last_seq"] == self.acked


def not_ready(server: ServerProcess) -> str:
    """Check that the server lives and is not ready; returns why."""
    assert server.request("GET", "/healthz").status == 200
    answer = server.request("GET", "/readyz")
    assert answer.status == 503
    causes = answer.json["causes"]
    assert causes
    return "; ".join(causes)


def test_a_disk_that_fails_under_a_server_loses_no_ack(
    shim: Path, new_server: NewServer, tmp_path: Path
) -> None:
    """Take one data directory through all faults; each next server finds the disk healed."""
    fault = tmp_path / "fault"
    environ = {"LD_PRELOAD": str(shim), "DISK_FAULT": str(fault), "ANOMALYAI_ENGINE__SNAPSHOT_EVERY_S": "0.2"}
    producer = Producer()
    server = new_server(environ=environ)
    for name in ("fsync", "readonly", "full"):
        for _ in range(3):
            assert producer.post(server).status == 202
        acked = producer.acked
        if name == "full":
            wait_until(partial(has_snapshot, server.data), "a snapshot")
            limit_files(server)
        else:
            fault.write_text(name)
        error = producer.until_refused(server)
        assert name == "full" or producer.acked == acked, "nothing is acknowledged after the fault"
        assert "log could not be written" in error["message"], error
        assert "I/O error" in error["message"], error
        assert "log could not be written" in not_ready(server)
        fault.unlink(missing_ok=True)
        assert producer.post(server).status == 503, "not trusted again before a restart"
        if name == "fsync":
            server.kill()
        else:
            server.stop()
        spoilt = spoil_snapshots(server.data) if name == "full" else []
        server = new_server(environ=environ)
        assert all(f"{path} is passed over" in server.stderr() for path in spoilt)
        producer.check(server)
    assert server.stop()[0] == 0
    check_standby(server, producer)


def limit_files(server: ServerProcess) -> None:
    """Let no file of a server grow much further, as on a full disk."""
    [worker] = server.workers()
    written = max(path.stat().st_size for path in server.data.glob(f"{FILE_NAME}*"))
    hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (written + 20 * PAGE_BYTES, hard))


def has_snapshot(data: Path) -> bool:
    return any((data / "snapshots" / "f").glob("*.snap"))


def spoil_snapshots(data: Path) -> list[Path]:
    """Flip a bit in the newest snapshot and cut the one before; returns them."""
    newest, *older = sorted((data / "snapshots" / "f").glob("*.snap"), reverse=True)
    state = bytearray(newest.read_bytes())
    state[len(state) // 2] ^= 1
    newest.write_bytes(state)
    for path in older:
        path.write_bytes(path.read_bytes()[:-100])
    return [newest, *older]


def check_standby(server: ServerProcess, producer: Producer) -> None:
    """Spoil the log of a stopped server: it must not come up ready before a repair."""
    database = Database(server.data)
    database.checkpoint()
    with database.reader.connect() as connection:
        statement = "SELECT rootpage FROM sqlite_schema WHERE name = 'entry_by_seq'"
        page = connection.exec_driver_sql(statement).scalar_one()
    database.close()
    with (server.data / FILE_NAME).open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(b"\xa5" * PAGE_BYTES)
    server.stand_by()
    cause = not_ready(server)
    assert "is damaged" in cause
    assert "anomalyai repair" in cause
    answer = server.post("f", records(0, 1))
    assert answer.status == 503
    assert "is damaged" in answer.error["message"]
    with pytest.raises(DataDirectoryInUse):
        repair(server.data)
    assert server.stop()[0] == 0
    assert [(feed.kept, feed.lost) for feed in repair(server.data).feeds] == [(producer.acked, 0)]
