"""The server process: one gunicorn master, one worker with the engine, never two on one data directory.

The master takes the lock of the data directory and binds the port before it forks, so that a refusal is a
plain message; it imports neither Flask nor the core. It restarts a worker that dies, and gives up when that
happens too often. Stopping takes at most `STOP_S`.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import socket
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from anomalyai.errors import AnomalyAIError
from stream.errors import DataDirectoryInUse, SettingsError
from stream.lock import LOCK_NAME, DataDirectoryLock
from web import journal
from web.loopback import is_loopback

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from stream.runtime import Runtime
    from stream.settings import Settings

STOP_S = 30
LOCK_WAIT_S = 30.0
BIND_WAIT_S = 5.0
SPARE_THREADS = 100
SILENT_WORKER_S = 120
MAX_DEATHS, DEATHS_WITHIN_S = 5, 60.0

log = logging.getLogger("anomalyai.web")


class Companion(Protocol):
    """What runs beside a server: the demo's starter model and simulator."""

    def prepare(self, runtime: Runtime) -> None:
        """Get ready, before the runtime starts."""

    def install(self, runtime: Runtime) -> None:
        """Act on the started runtime, before the server is announced."""

    def run(self, url: str, stop: threading.Event) -> None:
        """Run until `stop`, in a thread of the worker, once the address has been announced."""


def serve(settings: Settings, companion: Companion | None = None) -> None:
    """Serve until stopped; never returns. What prevents a start is raised; with JSON on stderr, logged."""
    log_format = settings.server.log_format
    journal.set_up(log_format)
    try:
        Server(settings, companion).run()
    except AnomalyAIError as error:
        if log_format == "text":
            raise
        log.critical("%s", error)
        sys.exit(1)


class Server(BaseApplication):  # type: ignore[misc]
    """The gunicorn application; `run` never returns."""

    def __init__(self, settings: Settings, companion: Companion | None = None) -> None:
        require_loopback(settings.server.host)
        self.settings = settings
        self._companion = companion
        self._lock = acquire_lock(settings.data_path)
        self._listener, self.url = bind(settings.server.host, settings.server.port)
        self._announced = mmap.mmap(-1, 1)  # shared with every worker: the address is announced once
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options; its own files and environment are not read."""
        threads = self.settings.server.max_sockets + SPARE_THREADS
        for name, value in {
            "bind": f"fd://{self._listener}",
            "workers": 1,
            "worker_class": "web.worker.EngineWorker",
            "threads": threads,
            "worker_connections": 2 * threads + 1000,
            "keepalive": 15,
            "timeout": SILENT_WORKER_S,
            "graceful_timeout": STOP_S,
            "control_socket_disable": True,
            "errorlog": "-",
            "accesslog": None,
            "loglevel": "warning",
            "proc_name": "anomalyai",
        }.items():
            self.cfg.set(name, value)
        if self.settings.server.log_format == "json":
            self.cfg.set("logger_class", journal.JsonLogger)

    def run(self) -> None:
        """Serve until stopped; exits 0 when it was asked to, 1 when it failed."""
        try:
            OneWorkerArbiter(self).run()
        except SystemExit as error:
            sys.exit(0 if error.code in (0, None) else 1)

    def open(self, stop: threading.Event) -> tuple[Runtime, WSGIApplication]:
        """Open the runtime and build the application; called in the worker."""
        from stream.runtime import Runtime
        from web.app import create_app

        journal.set_up(self.settings.server.log_format)
        runtime = Runtime.open(self.settings, lock=self._lock)
        return runtime, create_app(runtime, self.settings, stop)

    def start(self, runtime: Runtime, stop: threading.Event) -> None:
        """Recover, announce the address, and run the companion; called in a thread of the worker."""
        if self._companion is not None:
            self._companion.prepare(runtime)
        if not stop.is_set():
            runtime.start()
        if self._companion is not None and not stop.is_set():
            self._companion.install(runtime)
        if stop.is_set():
            return
        if self._announced[0] == 0:
            self._announced[0] = 1
            print(f"Listening on {self.url}", flush=True)
        if self._companion is not None:
            self._companion.run(self.url, stop)


class OneWorkerArbiter(Arbiter):  # type: ignore[misc]
    """gunicorn's master, held to one worker: what would start a second one is refused."""

    def __init__(self, application: Server) -> None:
        self._starts: deque[float] = deque(maxlen=MAX_DEATHS)
        super().__init__(application)

    def handle_int(self) -> None:
        """Stop in order on Ctrl-C, as on SIGTERM; a second Ctrl-C does not wait."""
        raise StopIteration

    def handle_hup(self) -> None:
        """Refuse what would run two engines at once."""
        self.log.warning("signal ignored: one engine per data directory; stop and start to reload")

    handle_ttin = handle_ttou = handle_usr2 = handle_hup

    def spawn_worker(self) -> Any:
        """Fork the worker, unless it keeps dying."""
        now = time.monotonic()
        if len(self._starts) == MAX_DEATHS and now - self._starts[0] < DEATHS_WITHIN_S:
            raise HaltServer(f"the worker died {MAX_DEATHS} times within {DEATHS_WITHIN_S:.0f} s", 1)
        self._starts.append(now)
        return super().spawn_worker()


def acquire_lock(data: Path) -> DataDirectoryLock:
    """Take the lock of a data directory; waits for a worker whose master was killed, never for a live server.

    Raises
    ------
    DataDirectoryInUse
        Another server has it, or the remains of one did not go away in `LOCK_WAIT_S`.
    """
    deadline = time.monotonic() + LOCK_WAIT_S
    told = False
    while True:
        try:
            return DataDirectoryLock.acquire(data)
        except DataDirectoryInUse:
            if _is_running(_holder(data)) or time.monotonic() > deadline:
                raise
        if not told:
            journal.announce(f"Waiting for the rest of a killed server to leave {data}")
            told = True
        time.sleep(0.2)


def _holder(data: Path) -> int | None:
    text = (data / LOCK_NAME).read_text(encoding="ascii", errors="replace").strip()
    return int(text) if text.isdigit() else None


def _is_running(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def require_loopback(host: str) -> None:
    """Refuse to listen where other machines could reach us.

    Raises
    ------
    SettingsError
        The host is not a loopback name or address.
    """
    if not is_loopback(host):
        raise SettingsError(
            f"expected a loopback host such as 127.0.0.1, got {host!r}",
            field="server.host",
            hint="there is no access control yet: put a proxy with its own in front to serve other machines",
        )


def bind(host: str, port: int) -> tuple[int, str]:
    """Bind the listening socket; returns its descriptor and the server's address.

    Raises
    ------
    SettingsError
        The address cannot be had.
    """
    deadline = time.monotonic() + BIND_WAIT_S
    while True:
        try:
            return _bind_once(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise SettingsError(
                    f"cannot listen on {host} port {port}: {error.strerror}",
                    field="server.port",
                    hint="choose another with --port, or --port 0 for any free one",
                ) from error
        time.sleep(0.2)


def _bind_once(host: str, port: int) -> tuple[int, str]:
    name = host.strip("[]")
    family, _, _, _, address = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        shown = f"[{name}]" if family == socket.AF_INET6 else name
        url = f"http://{shown}:{listener.getsockname()[1]}"
        return listener.detach(), url
