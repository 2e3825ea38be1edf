"""One process per data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream.errors import DataDirectoryInUse
from stream.lock import DataDirectoryLock

TAKE = """
import sys
from pathlib import Path
from stream.errors import DataDirectoryInUse
from stream.lock import DataDirectoryLock
try:
    DataDirectoryLock.acquire(Path(sys.argv[1]))
except DataDirectoryInUse as error:
    print(error)
else:
    print("taken")
"""


def take_in_another_process(data: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", TAKE, str(data)], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_a_second_process_is_refused_with_the_holder_named_until_release(tmp_path: Path) -> None:
    data = tmp_path / "data"
    lock = DataDirectoryLock.acquire(data)
    refusal = take_in_another_process(data)
    assert f"in use by process {os.getpid()}" in refusal
    assert "--data" in refusal
    lock.release()
    assert not lock.held
    lock.release()
    assert take_in_another_process(data) == "taken"


def test_the_same_process_is_refused_too(tmp_path: Path) -> None:
    lock = DataDirectoryLock.acquire(tmp_path)
    with pytest.raises(DataDirectoryInUse) as caught:
        DataDirectoryLock.acquire(tmp_path)
    assert caught.value.field == "data"
    lock.release()


def test_a_forked_child_inherits_the_lock_and_keeps_it_after_its_parent_lets_go(tmp_path: Path) -> None:
    lock = DataDirectoryLock.acquire(tmp_path)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write_end)
        os.read(read_end, 1)
        os._exit(0)
    os.close(read_end)
    lock.release()
    assert "in use" in take_in_another_process(tmp_path)
    os.close(write_end)
    assert os.waitpid(child, 0)[1] == 0
    assert take_in_another_process(tmp_path) == "taken"


def test_a_program_started_by_the_holder_does_not_inherit_it(tmp_path: Path) -> None:
    lock = DataDirectoryLock.acquire(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    lock.release()
    assert take_in_another_process(tmp_path) == "taken"
    child.communicate(b"\n", timeout=60)
