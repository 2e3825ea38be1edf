"""One training process from its start to its end: niced, on one thread, and gone when its server is.

It gets its task as a line of JSON on its standard input, which then stays open: where that closes, the server
is gone, and the process ends. It answers with lines of JSON on its standard output (`stream.training.task`);
what else it says goes into a file, whose last line tells what a crash was. Single-threaded.
"""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from anomalyai.manifest import Manifest
from stream import child
from stream.job import Failure
from stream.training.task import Line, Refused, Stage, Task, Trained

POLL_S = 0.1
PIECE_BYTES = 65_536

Outcome = Manifest | Failure | str
"""A model; a failure that another attempt would repeat; or in words what went wrong."""


def run_process(
    task: Task,
    data: Path,
    said: Path,
    *,
    on_stage: Callable[[Stage], None],
    ending: Callable[[], Failure | None],
) -> Outcome:
    """Run a task's process over a data directory; returns what came of it.

    `said` is the file for its standard error. `ending` is asked often whether it has to end, and why.
    """
    command = child.command("stream.training.worker", data)
    with said.open("w+b") as errors:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                env=child.environment(),
                start_new_session=True,  # a Ctrl-C is for the server, which ends it in order
            )
        except OSError as error:
            return f"the training process could not be started: {error}"
        with process:
            outcome = _followed(process, task, on_stage, ending)
            code = process.wait()
        if outcome is not None:
            return outcome
        return f"the training process ended with {code}: {child.last_words(errors)}"


def _followed(
    process: subprocess.Popen[bytes],
    task: Task,
    on_stage: Callable[[Stage], None],
    ending: Callable[[], Failure | None],
) -> Outcome | None:
    """Follow a process until it has said what came of it; None where it ended without that.

    Leaving closes its standard input, which ends a process that would go on.
    """
    _send(process, msgspec.json.encode(task) + b"\n")
    try:
        for line in _lines(process):
            if isinstance(line, Stage):
                on_stage(line)
            elif isinstance(line, Trained):
                return line.manifest
            elif isinstance(line, Refused):
                return line.failure
            if (reason := ending()) is not None:
                process.kill()
                return reason
    except msgspec.DecodeError as error:
        return f"the training process said what is not understood: {error}"
    return None


def _send(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(line)
    except BrokenPipeError:
        return  # it has died already; its exit code and last words say why


def _lines(process: subprocess.Popen[bytes]) -> Iterator[Line | None]:
    """Yield what the process says until it says no more, None now and then where it says nothing."""
    assert process.stdout is not None
    decoder = msgspec.json.Decoder(Line)
    pending = b""
    while True:
        ready, _, _ = select.select([process.stdout], [], [], POLL_S)
        if not ready:
            yield None
            continue
        piece = os.read(process.stdout.fileno(), PIECE_BYTES)
        if not piece:
            return
        *whole, pending = (pending + piece).split(b"\n")
        for line in whole:
            yield decoder.decode(line)
