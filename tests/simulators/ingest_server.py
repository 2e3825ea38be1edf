"""A small server that speaks the ingest protocol over real sockets and can be told when to break it.

It keeps records in memory, numbers them, remembers each named producer's answers, and answers the few HTTP
requests that the client makes. Failures are input: `breaks` lists at which received frame the connection is
cut, and whether before or after the frame became durable.
"""

import json
import select
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

BEFORE, AFTER = "before", "after"  # a break before the frame is durable, or after that but before its ack


class IngestServer:
    """Contract's ingest protocol in memory; attributes are read and set by tests."""

    def __init__(self, *, credit: int = 4, max_frame_bytes: int = 8 * 2**20, port: int = 0) -> None:
        self.credit = credit
        self.max_frame_bytes = max_frame_bytes
        self.breaks: dict[int, str] = {}  # frame number, from 1 over all connections -> BEFORE | AFTER
        self.close_codes: dict[int, int] = {}  # the same -> close code instead of storing it
        self.unreadable: set[int] = set()  # the same -> answered by an error message
        self.refuse_fields: set[str] = set()  # records with one of these fields are rejected
        self.go = threading.Event()  # cleared: frames are read, not answered
        self.go.set()
        self.frames: list[dict[str, Any]] = []  # every envelope received
        self.most_in_flight = 0
        self.hellos = 0
        self.records: dict[str, list[dict[str, Any]]] = {}
        self.declared: dict[str, str] = {}
        self.answers: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.live: list[list[dict[str, Any]]] = []  # one script of messages per live connection, then a cut
        self.live_queries: list[str] = []
        self.alerts: list[int] = []  # seqs
        self.fields: list[dict[str, Any]] = []  # of every feed's schema
        self.lags: list[int] = []  # what status requests say before the lag is 0
        self.closing = threading.Event()
        self.sockets: set[socket.socket] = set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.headers.get("Upgrade", "").lower() == "websocket":
                    _Socket(server, self).run()
                    self.close_connection = True
                else:
                    self.answer(*server.get(self.path))

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.declared[feed_of(self.path)] = body.decode()
                self.answer(201, {"feed": feed_of(self.path)})

            def do_POST(self) -> None:
                records = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = server.admit(feed_of(self.path), records)
                self.answer(202 if answer["accepted"] else 422, answer)

            def answer(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self.go.set()
        self.cut_all()
        self._http.shutdown()
        self._http.server_close()

    def cut_all(self) -> None:
        """Break every open WebSocket as a lost network would, at once."""
        for open_socket in list(self.sockets):
            with suppress(OSError):  # the client was faster
                open_socket.shutdown(socket.SHUT_RDWR)

    def admit(self, feed: str, records: list[Any]) -> dict[str, Any]:
        stored = self.records.setdefault(feed, [])
        first = len(stored) + 1
        rejected = []
        for index, record in enumerate(records):
            if not isinstance(record, dict):
                rejected.append({"index": index, "field": None, "error": "expected an object"})
                continue
            bad = self.refuse_fields & {name for name, value in record.items() if value is not None}
            if bad:
                rejected.append({"index": index, "field": min(bad), "error": "not allowed here"})
            else:
                stored.append(record)
        any_accepted = len(stored) >= first
        return {
            "accepted": len(stored) - first + 1,
            "rejected": rejected,
            "shed": 0,
            "first_seq": first if any_accepted else None,
            "last_seq": len(stored) if any_accepted else None,
        }

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        feed = feed_of(path)
        if urlsplit(path).path.endswith("/alerts"):
            query = parse_qs(urlsplit(path).query)
            after, limit = int(query["after"][0]), int(query["limit"][0])
            seqs = [seq for seq in self.alerts if seq > after]
            page = [{"id": f"{feed}-{seq}", "seq": seq} for seq in seqs[:limit]]
            return 200, {"alerts": page, "next": seqs[limit - 1] if len(seqs) > limit else None}
        if feed not in self.records and feed not in self.declared:
            error = {
                "code": "unknown_feed",
                "message": f"no feed {feed}",
                "field": None,
                "hint": "post to it",
            }
            return 404, {"error": error}
        lag = self.lags.pop(0) if self.lags else 0
        if "/events/" in path:
            return 200, {"record": self.records[feed][int(path.rpartition("/")[2]) - 1]}
        return 200, {
            "feed": feed,
            "schema": {"fields": self.fields},
            "last_seq": len(self.records.get(feed, [])),
            "alerts": len(self.alerts),
            "lag": {"records": lag, "s": 0.0},
        }


def feed_of(path: str) -> str:
    return urlsplit(path).path.split("/")[2]


class _Socket:
    """One WebSocket of the server, driven by hand so that it can be cut at any point."""

    def __init__(self, server: IngestServer, handler: BaseHTTPRequestHandler) -> None:
        self.server = server
        self.socket: socket.socket = handler.connection
        self.feed = feed_of(handler.path)
        self.query = urlsplit(handler.path).query
        self.is_live = urlsplit(handler.path).path.endswith("/live")
        self.producer = parse_qs(self.query).get("producer", [""])[0]
        self.protocol = ServerProtocol(max_size=server.max_frame_bytes)
        lines = [
            handler.requestline,
            *(f"{name}: {value}" for name, value in handler.headers.items()),
            "",
            "",
        ]
        self.protocol.receive_data("\r\n".join(lines).encode())
        (request,) = self.protocol.events_received()
        assert isinstance(request, Request)
        self.protocol.send_response(self.protocol.accept(request))
        self.waiting: list[dict[str, Any]] = []
        self.mine: list[dict[str, Any]] = []

    def run(self) -> None:
        self.server.sockets.add(self.socket)
        try:
            self.write()
            if self.is_live:
                self.play()
            else:
                self.serve()
        except (ConnectionError, BrokenPipeError):
            return
        finally:
            self.server.sockets.discard(self.socket)
            self.socket.close()

    def play(self) -> None:
        self.server.live_queries.append(self.query)
        for message in self.server.live.pop(0) if self.server.live else []:
            self.say(message)
        while not self.server.live and self.read():  # the last script's connection stays open
            pass

    def serve(self) -> None:
        server = self.server
        named = bool(self.producer)
        answers = server.answers.setdefault((self.feed, self.producer), []) if named else self.mine
        server.hellos += 1
        self.say(
            {
                "type": "hello",
                "feed": self.feed,
                "next_batch": len(answers) + 1,
                "credit": server.credit,
                "max_frame_bytes": server.max_frame_bytes,
            }
        )
        while self.protocol.state is not State.CLOSED and not server.closing.is_set():
            readable, _, _ = select.select([self.socket], [], [], 0.02)
            if readable and not self.read():
                return
            while self.waiting and server.go.is_set():
                if not self.answer(self.waiting.pop(0), answers):
                    return

    def read(self) -> bool:
        data = self.socket.recv(65536)
        if not data:
            return False
        self.protocol.receive_data(data)
        self.write()
        for event in self.protocol.events_received():
            if isinstance(event, Frame) and event.opcode in {Opcode.TEXT, Opcode.BINARY}:
                self.waiting.append(json.loads(bytes(event.data)))
        self.server.most_in_flight = max(self.server.most_in_flight, len(self.waiting))
        return self.protocol.close_rcvd is None

    def answer(self, envelope: dict[str, Any], answers: list[dict[str, Any]]) -> bool:
        server = self.server
        server.frames.append(envelope)
        number = len(server.frames)
        assert set(envelope) in ({"batch", "columns"}, {"batch", "records"}), sorted(envelope)
        if number in server.close_codes:
            self.protocol.send_close(server.close_codes[number], "as scripted")
            self.write()
            while (
                self.read()
            ):  # closing with unread frames would reset the connection and lose the close code
                pass
            return False
        if server.breaks.get(number) == BEFORE:
            return False
        batch = envelope["batch"]
        assert batch <= len(answers) + 1, f"batch {batch} after {len(answers)}"
        if batch == len(answers) + 1:
            answers.append(self.store(number, envelope))
        if server.breaks.get(number) == AFTER:
            return False
        self.say({**answers[batch - 1], "batch": batch, "credit": server.credit})
        return True

    def store(self, number: int, envelope: dict[str, Any]) -> dict[str, Any]:
        if number in self.server.unreadable:
            error = {"code": "unreadable", "message": "as scripted", "field": None, "hint": None}
            return {"type": "error", "error": error}
        return {"type": "ack", **self.server.admit(self.feed, records_of(envelope))}

    def say(self, message: dict[str, Any]) -> None:
        self.protocol.send_text(json.dumps(message).encode())
        self.write()

    def write(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.socket.sendall(data)


def records_of(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """List the records of an envelope; nulls of columns are left out."""
    if "records" in envelope:
        return list(envelope["records"])
    columns = envelope["columns"]
    assert len({len(values) for values in columns.values()}) == 1
    rows = zip(*columns.values(), strict=True)
    return [
        {name: value for name, value in zip(columns, row, strict=True) if value is not None} for row in rows
    ]
