"""Fixtures that several folders share: a real server, and feed names nobody else uses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving import ServerProcess

NewServer = Callable[..., ServerProcess]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all tests that only add feeds to it; it must have stopped cleanly in the end."""
    running = ServerProcess(tmp_path_factory.mktemp("server") / "data").start()
    try:
        yield running
        code, _ = running.stop()
        assert code == 0, running.stderr()
    finally:
        running.kill()


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[NewServer]:
    """Make servers that a test may stop, kill and start again; all are gone after it."""
    made: list[ServerProcess] = []

    def make(name: str = "data", **options: object) -> ServerProcess:
        process = ServerProcess(tmp_path / name, **options).start()  # type: ignore[arg-type]
        made.append(process)
        return process

    yield make
    for process in made:
        process.kill()
        if process.process.stdout is not None:
            process.process.stdout.close()


@pytest.fixture
def feed() -> str:
    """Return a feed name of this test's own."""
    return f"feed-{next(_numbers)}"
