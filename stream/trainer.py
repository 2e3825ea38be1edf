"""The training process: `python -m stream.trainer SET MODELS FEED RESULT`.

Reads a training set, trains, keeps the model in the store and writes its manifest to RESULT. It runs at low
priority on one thread, and ends as soon as its standard input closes, that is when its server is gone.
Nothing here is imported by the server; exit code 0 means that RESULT is there.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import msgspec

NICENESS = 10
ORPHANED = 3


def main(arguments: list[str]) -> int:
    """Train one model; returns the exit code."""
    if len(arguments) != 4:
        print("usage: python -m stream.trainer SET MODELS FEED RESULT", file=sys.stderr)
        return 2
    os.nice(NICENESS)
    threading.Thread(target=_end_with_server, daemon=True).start()
    training_set, models, feed, result = (
        Path(arguments[0]),
        Path(arguments[1]),
        arguments[2],
        Path(arguments[3]),
    )

    from anomalyai.model_store import ModelStore
    from anomalyai.training import TrainingSet, train
    from stream.secret import instance_secret
    from stream.snapshot import sync_folder, write_whole

    manifest = ModelStore(models, instance_secret(models.parent)).save(
        feed, train(TrainingSet.load(training_set))
    )
    sync_folder(models)  # the log will name this model: it must survive what the log survives
    write_whole(result, msgspec.json.encode(manifest))
    return 0


def _end_with_server() -> None:
    # not sys.stdin: its lock, held by a waiting thread, aborts the interpreter when it ends
    while os.read(0, 1):
        pass
    os._exit(ORPHANED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
