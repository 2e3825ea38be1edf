"""The files of the model store: written whole or not at all, read only where they are plain files."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from anomalyai.errors import ModelError

_CHUNK_BYTES = 1 << 20


def read_file(path: Path, max_bytes: int) -> bytes:
    """Return what is in a file, which must be a plain one: no link, pipe or device stands in for a model.

    Raises
    ------
    FileNotFoundError
        There is none.
    ModelError
        It is no plain file, or larger than `max_bytes`, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _not_plain(path, "a link") from error
        raise ModelError(f"{path.name} cannot be read: {error.strerror}", code="model_unreadable") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _not_plain(path, "no plain file")
        if status.st_size > max_bytes:
            raise ModelError(
                f"{path.name} has {status.st_size} bytes, expected at most {max_bytes}",
                code="model_too_large",
            )
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(max_bytes)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that after a crash or a power cut it is there whole, or as before."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    temporary.unlink(missing_ok=True)  # a link left there would be written through
    with temporary.open("xb") as file:
        for start in range(0, len(data), _CHUNK_BYTES):
            file.write(data[start : start + _CHUNK_BYTES])
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name, too, must outlive a power cut: a log entry will refer to it
    finally:
        os.close(folder)


def _not_plain(path: Path, what: str) -> ModelError:
    return ModelError(
        f"{path.name} is {what}, expected a plain file",
        code="model_altered",
        hint="remove it and train the model again",
    )
