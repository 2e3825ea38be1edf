"""The log on stderr as JSON: every line one object, whoever wrote it, and no record in any."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NewServer
from tests.serving import ServerProcess
from web import journal

SCRIPT = """
import logging, threading, warnings
from web import journal
journal.set_up("json")
log = logging.getLogger("anomalyai.stream")
try:
    raise ValueError("three\\nlines")
except ValueError as error:
    log.error("it %s", "failed\\nbadly", exc_info=error)
log.debug("not shown")
warnings.warn("mind this", stacklevel=1)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
journal.announce("as it is")
raise LookupError("at last")
"""


def lines(text: str) -> list[dict[str, Any]]:
    """Read a log, checking each line's shape."""
    found = [json.loads(line) for line in text.splitlines()]
    for line in found:
        assert {"time", "level", "logger", "message"} <= set(line) <= {
            "time", "level", "logger", "message", "exception"
        }, line  # fmt: skip
        assert all(isinstance(value, str) for value in line.values()), line
        assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)
    return found


def wait_ready(server: ServerProcess, other_than: int) -> None:
    """Wait until another worker is ready."""
    deadline = time.monotonic() + 90
    while True:
        try:
            if other_than not in server.workers() and server.request("GET", "/readyz").status == 200:
                return
        except OSError:
            pass  # between two workers
        assert time.monotonic() < deadline, server.stderr()
        time.sleep(0.05)


def test_every_line_is_one_object() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    failed, warned, in_thread, announced, uncaught = lines(done.stderr)
    assert (failed["level"], failed["logger"]) == ("error", "anomalyai.stream")
    assert failed["message"] == "it failed\nbadly"
    assert failed["exception"].endswith("ValueError: three\nlines")
    assert (warned["level"], warned["logger"]) == ("warning", "py.warnings")
    assert "mind this" in warned["message"]
    assert "ZeroDivisionError" in in_thread["exception"]
    assert (announced["level"], announced["message"]) == ("info", "as it is")
    assert (uncaught["level"], uncaught["exception"].splitlines()[-1]) == ("critical", "LookupError: at last")


def test_a_server_writes_nothing_else(new_server: NewServer) -> None:
    server = new_server(arguments=("serve", "--log-format", "json"))
    secret = "4929813216451298736"
    server.post("f", [{"card": secret, "x": 1.0}, {"card": secret, "x": secret}])
    server.process.send_signal(signal.SIGHUP)  # gunicorn's master says that it does not reload
    second = subprocess.run(
        [sys.executable, "-m", "web.cli", "serve", "--port", "0", "--data", str(server.data)],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "ANOMALYAI_SERVER__LOG_FORMAT": "json"},
    )  # fmt: skip
    assert second.returncode == 1
    [refused] = lines(second.stderr)
    assert refused["level"] == "critical"
    assert f"in use by process {server.process.pid}" in refused["message"]
    [worker] = server.workers()
    os.kill(worker, signal.SIGKILL)  # the master says so, and starts another
    wait_ready(server, other_than=worker)
    assert server.stop()[0] == 0
    found = lines(server.stderr())
    loggers = {line["logger"] for line in found}
    assert "gunicorn.error" in loggers
    assert any("signal ignored" in line["message"] for line in found)
    assert secret not in server.stderr()


def test_text_has_time_and_level_unless_it_is_announced(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = logging.getLogger().handlers[:]
    try:
        journal.set_up("text")
        logging.getLogger("anomalyai.stream").warning("slow disk at %s", tmp_path)
        journal.announce("Waiting")
    finally:
        logging.getLogger().handlers[:] = before
    first, second = capfd.readouterr().err.splitlines()
    assert first.endswith(f" WARNING slow disk at {tmp_path}")
    assert second == "Waiting"
