"""The one worker process: gunicorn's thread worker with the engine inside.

Life of a worker: the master forks it; it opens the runtime and begins to answer at once (`/readyz` says what
it waits for); a starter thread recovers, compiles and then announces that it is ready; SIGTERM, SIGINT or the
death of the master set the stop event, sockets close with 1001, requests under way are answered, the engine
drains, the process exits. Where the database is damaged it stays up and not ready, and says so.
"""

from __future__ import annotations

import logging
import socket
import struct
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from gunicorn.arbiter import Arbiter
from gunicorn.http import errors as parsing
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import TConn, ThreadWorker

from anomalyai.errors import AnomalyAIError
from stream.errors import DatabaseDamaged
from web import journal
from web.answer import HTTP_CODES, error_body
from web.standby import Standby

if TYPE_CHECKING:
    from stream.runtime import Runtime
    from web.server import Server

REQUESTS_S = 5
ENGINE_S = 20.0
STALL_S = 30

log = logging.getLogger("anomalyai.web")

UNPARSED: tuple[tuple[type[Exception], int], ...] = (
    (parsing.LimitRequestLine, 414),
    (parsing.LimitRequestHeaders, 431),
    (parsing.ExpectationFailed, 417),
    (parsing.UnsupportedTransferCoding, 501),
    (parsing.ParseException, 400),
)
"""The HTTP status for a request that could not even be parsed; the first class that fits counts."""


def _is_no_stall(record: logging.LogRecord) -> bool:
    """Leave out gunicorn's trace of a peer that stalled and was given up: that is no error of ours."""
    return record.exc_info is None or not isinstance(record.exc_info[1], BlockingIOError)


class EngineWorker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker that owns the runtime. Signals arrive in its main thread, requests run in its pool."""

    runtime: Runtime | None = None
    stop: threading.Event
    failed = False

    def load_wsgi(self) -> None:
        """Open the runtime and build the application; a fault of ours ends the boot with its message.

        A damaged database does not: the server stands by, not ready, and tells who asks what helps.
        """
        server = cast("Server", self.app)
        self.log.error_log.addFilter(_is_no_stall)
        self.stop = threading.Event()
        self.cfg.set("graceful_timeout", REQUESTS_S)  # the master's own is longer: it covers the engine too
        self._starter = threading.Thread(target=self._start, name="starter", daemon=True)
        try:
            self.runtime, self.wsgi = server.open(self.stop)
        except DatabaseDamaged as error:
            self.wsgi = Standby(error)
            self._stand_by(error)
        except AnomalyAIError as error:
            journal.announce(f"Error: {error}", logging.CRITICAL)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    def run(self) -> None:
        """Serve until stopped, then drain the engine."""
        if self.runtime is not None:
            self._starter.start()
        try:
            super().run()
        finally:
            self.stop.set()
            if self.runtime is not None:
                self._starter.join(ENGINE_S / 2)
                self.runtime.stop(ENGINE_S / 2)
        if self.failed:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    def _start(self) -> None:
        assert self.runtime is not None
        started = False
        try:
            cast("Server", self.app).start(self.runtime, self.stop)
            started = True
        except DatabaseDamaged as error:
            started = True  # and not ready: the runtime's causes say why
            self._stand_by(error)
        except AnomalyAIError as error:
            journal.announce(f"Error: {error}", logging.CRITICAL)
        finally:
            if not started:
                self._fail()

    def _stand_by(self, error: DatabaseDamaged) -> None:
        url = cast("Server", self.app).url
        journal.announce(f"Error: {error}", logging.CRITICAL)
        journal.announce(f"Not ready, answering on {url}", logging.WARNING)

    def _fail(self) -> None:
        self.failed = True
        self.handle_exit(0, None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop: SIGTERM and SIGINT."""
        self.stop.set()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """Treat SIGINT like SIGTERM: the engine is to be drained, not dropped."""
        self.handle_exit(sig, frame)

    def is_parent_alive(self) -> bool:
        """Notice that the master is gone, and then stop in order."""
        alive = bool(super().is_parent_alive())
        if not alive:
            self.stop.set()
        return alive

    def handle(self, conn: TConn) -> Any:
        """Answer one request; a peer that stalls in the middle of it is given up after `STALL_S`."""
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", STALL_S, 0))
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", STALL_S, 0))
        return super().handle(conn)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that gunicorn could not parse with the one error body."""
        status = next((status for kind, status in UNPARSED if isinstance(exc, kind)), 500)
        if status == 500:
            log.error("error outside the application", exc_info=exc)
        message = str(exc) if status != 500 else "an internal error; the server's log has the details"
        body = error_body(HTTP_CODES[status], message[:300])
        head = (
            f"HTTP/1.1 {status} Error\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            write_nonblock(client, head.encode("latin-1") + body)
        except OSError as error:
            log.debug("the client left before its error could be sent: %s", error)
