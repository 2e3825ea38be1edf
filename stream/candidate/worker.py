"""The process that plays a feed's past: `python -m stream.candidate.worker DATA`.

It reads a question as a line of JSON from its standard input and writes the answer, or why there is none, as
one line of JSON to its standard output. It runs at low priority on one thread, and ends as soon as its
standard input closes, that is when its server is gone. Nothing here is imported by the server.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from stream.child import begin


def main(arguments: list[str]) -> int:
    """Answer one question; returns the exit code, 0 where a line was written."""
    if len(arguments) != 1:
        print("usage: python -m stream.candidate.worker DATA", file=sys.stderr)
        return 2
    question = begin()

    from anomalyai.errors import AnomalyAIError
    from stream.candidate.process import Answered, Refused
    from stream.candidate.replay import Question, opened
    from stream.job import Failure

    said: Answered | Refused
    try:
        with opened(Path(arguments[0])) as replays:
            said = Answered(replays.answer(msgspec.json.decode(question, type=Question)))
    except AnomalyAIError as error:
        said = Refused(Failure.of(error))
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
