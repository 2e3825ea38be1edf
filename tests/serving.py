"""A real server for tests: its own process, a port the system picks, a data directory that goes away."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

START_S = 90.0
STOP_S = 40.0


@dataclass
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error of the one error body, whose shape is checked here."""
        assert self.headers["content-type"] == "application/json", self
        document = self.json
        assert set(document) == {"error"}, document
        error: dict[str, Any] = document["error"]
        assert set(error) == {"code", "message", "field", "hint"}, error
        assert isinstance(error["code"], str), error
        assert isinstance(error["message"], str), error
        assert error["code"], error
        assert error["message"], error
        assert error["field"] is None or isinstance(error["field"], str), error
        assert error["hint"] is None or isinstance(error["hint"], str), error
        return error


@dataclass
class ServerProcess:
    """`anomalyai serve` (or another command that serves) as a child process."""

    data: Path
    arguments: tuple[str, ...] = ("serve",)
    port: int = 0
    environ: dict[str, str] = field(default_factory=dict)
    start_s: float = 0.0

    def launch(self) -> None:
        """Start it and wait for nothing."""
        self.stderr_path = self.data.parent / f"{self.data.name}.stderr"
        options = ["--port", str(self.port), "--data", str(self.data)]
        tied = [sys.executable, "-m", "web.tether", str(os.getpid())]  # gone even if the tests are killed
        with self.stderr_path.open("ab") as stderr:
            self.process = subprocess.Popen(
                [*tied, *self.arguments, *options],
                stdout=subprocess.PIPE,
                bufsize=0,  # or select would not see lines that a buffer has read ahead
                stderr=stderr,
                env={**os.environ, **self.environ},
                start_new_session=True,
            )

    def stand_by(self) -> ServerProcess:
        """Start it and wait until it says that it is not ready, and where it answers."""
        before = len(self.stderr()) if self.data.exists() else 0
        self.launch()
        self.url = self._url_of_standby(before)
        return self

    def start(self) -> ServerProcess:
        """Start it and wait until it says where it listens."""
        began = time.monotonic()
        self.launch()
        line = self.read_line(START_S)
        assert line.startswith("Listening on http://"), (line, self.stderr())
        self.url = line.removeprefix("Listening on ").strip()
        self.start_s = time.monotonic() - began
        return self

    def _url_of_standby(self, before: int) -> str:
        deadline = time.monotonic() + START_S
        told = re.compile(r"^Not ready, answering on (http://\S+)$", re.MULTILINE)
        while (found := told.search(self.stderr()[before:])) is None:
            assert self.process.poll() is None, self.stderr()
            assert time.monotonic() < deadline, self.stderr()
            time.sleep(0.05)
        return found[1]

    def read_line(self, timeout_s: float) -> str:
        """Read the next line of its stdout; empty at its end."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], timeout_s)
        assert ready, f"nothing on stdout for {timeout_s} s; stderr: {self.stderr()}"
        return self.process.stdout.readline().decode()

    def stderr(self) -> str:
        """Return what it has written to stderr so far."""
        return self.stderr_path.read_text(errors="replace")

    def workers(self) -> list[int]:
        """Return the process ids of its children."""
        return children(self.process.pid)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Ask it to stop; returns its exit code and how long that took, in seconds."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()
        return code, time.monotonic() - began

    def kill(self) -> None:
        """Kill its whole process group at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait(STOP_S)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def request(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one HTTP request as it is given: no header is added but Host and the body's length."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        try:
            data = body.encode() if isinstance(body, str) else body
            connection.request(method, path, body=data, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def post(self, feed: str, records: Any, path: str = "", **headers: str) -> Answer:
        """Post records as JSON to a feed; `path` continues the address, e.g. `?producer=a&batch=1`."""
        kind = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return self.request("POST", f"/feeds/{feed}/events{path}", json.dumps(records), kind)

    @contextmanager
    def socket(self, path: str, **options: Any) -> Iterator[ClientConnection]:
        """Open a WebSocket for the length of a block."""
        with connect(f"{self.url.replace('http', 'ws', 1)}{path}", compression=None, **options) as socket:
            yield socket

    def metric(self, name: str) -> float:
        """Read the sum of one metric's samples from `/metrics`."""
        lines = self.request("GET", "/metrics").body.decode().splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name
        )


def children(pid: int) -> list[int]:
    """Return the process ids of a process's children, from /proc."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        after_name = text.rpartition(")")[2].split()
        if int(after_name[1]) == pid and after_name[0] != "Z":
            found.append(int(status.parent.name))
    return sorted(found)


def receive(socket: ClientConnection, timeout_s: float = 30.0) -> dict[str, Any]:
    """Receive one JSON message."""
    message: dict[str, Any] = json.loads(socket.recv(timeout=timeout_s))
    return message
