"""Places for open sockets, so that a crowd of them leaves threads to plain requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from web.refusal import RequestError


class Places:
    """How many sockets may be open at once, so that plain requests always find a thread. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a place for the length of a socket.

        Raises
        ------
        RequestError
            503: all places are taken.
        """
        with self._lock:
            if self.taken >= self.limit:
                raise RequestError(
                    503,
                    "too_many_sockets",
                    f"all {self.limit} sockets are in use",
                    hint="close one, or try later",
                )
            self.taken += 1
        try:
            yield
        finally:
            with self._lock:
                self.taken -= 1
