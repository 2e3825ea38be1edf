"""Many viewers in one thread of the test: an event loop reads every socket and notes when alerts came."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Coroutine
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect

PATIENCE_S = 60.0
ALERT = re.compile(rb'^\{"type":"alert".*?"seq":(\d+)', re.DOTALL)


class Crowd:
    """Viewers of one feed; `came_s[i]` is when viewer i got each alert: `time.perf_counter` s by seq."""

    def __init__(self, url: str, feed: str) -> None:
        self._address = f"{url.replace('http', 'ws', 1)}/feeds/{feed}/live"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._sockets: list[ClientConnection] = []
        self._readers: list[asyncio.Task[None]] = []
        self.came_s: list[dict[int, float]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def come(self, count: int) -> None:
        """Let `count` viewers connect, and wait until each is caught up."""
        self._run(self._come(count))

    def have(self, seq: int) -> bool:
        """Whether every viewer got this alert."""
        return all(seq in came_s for came_s in self.came_s)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _come(self, count: int) -> None:
        for _ in range(count):
            socket = await connect(self._address, compression=None, max_size=None, open_timeout=PATIENCE_S)
            self._sockets.append(socket)
            self.came_s.append({})
            caught_up = asyncio.Event()
            self._readers.append(asyncio.create_task(self._read(socket, self.came_s[-1], caught_up)))
            await asyncio.wait_for(caught_up.wait(), PATIENCE_S)

    async def _read(
        self, socket: ClientConnection, came_s: dict[int, float], caught_up: asyncio.Event
    ) -> None:
        while True:
            message = await socket.recv(decode=False)
            found = ALERT.match(message)
            if found is not None:
                came_s.setdefault(int(found[1]), time.perf_counter())
            elif b'"caught_up"' in message:
                caught_up.set()

    async def _leave(self) -> None:
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        await asyncio.gather(*(socket.close() for socket in self._sockets))
