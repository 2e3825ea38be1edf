"""A process that plays a feed's past beside the server, and what it answers. Safe from any thread."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO

import msgspec

from anomalyai.errors import ModelError
from stream import child
from stream.candidate.replay import Answer, Question
from stream.errors import NotReady
from stream.job import Failure


class Answered(msgspec.Struct, frozen=True, tag="answer"):
    """The line of a process that has an answer."""

    answer: Answer


class Refused(msgspec.Struct, frozen=True, tag="refusal"):
    """The line of a process that has none."""

    failure: Failure


class Inquest:
    """One question put to a process of its own, which ends with the server; `result` gives the answer."""

    def __init__(self, data: Path, question: Question) -> None:
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed once it is read
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - likewise
        self._lock = threading.Lock()
        self._line: bytes | None = None
        self._last_words = ""
        self._process = subprocess.Popen(
            child.command("stream.candidate.worker", data),
            stdin=subprocess.PIPE,
            stdout=self._said,
            stderr=self._errors,
            env=child.environment(),
            start_new_session=True,  # a Ctrl-C is for the server, which ends it in order
        )
        assert self._process.stdin is not None
        with contextlib.suppress(
            BrokenPipeError
        ):  # it has died already; its exit code and last words say why
            self._process.stdin.write(msgspec.json.encode(question) + b"\n")
            self._process.stdin.flush()

    @property
    def is_running(self) -> bool:
        """Whether there is no answer yet."""
        return self._process.poll() is None

    def result(self, timeout_s: float) -> Answer | None:
        """Return the answer; None where it takes longer.

        Raises
        ------
        ModelError
            There is none, for the reason that the process gave.
        NotReady
            The process died.
        """
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        line = self._read()
        if code != 0:
            raise NotReady(f"the comparing process ended with {code}", hint=self._last_words)
        said = msgspec.json.decode(line, type=Answered | Refused)
        if isinstance(said, Answered):
            return said.answer
        failure = said.failure
        raise ModelError(failure.message, code=failure.code, field=failure.field, hint=failure.hint)

    def close(self) -> None:
        """End the process if it runs, and let go of what it holds."""
        self._process.kill()
        self._process.wait()
        self._read()

    def _read(self) -> bytes:
        """Return what the process, which has ended, has said; the first time, let go of pipe and files."""
        with self._lock:
            if self._line is None:
                self._said.seek(0)
                self._line = self._said.read()
                self._last_words = child.last_words(self._errors)
                assert self._process.stdin is not None
                with contextlib.suppress(BrokenPipeError):
                    self._process.stdin.close()
                self._said.close()
                self._errors.close()
            return self._line
