"""The secret of a data directory: what its models are signed with.

32 random bytes, made when they are first asked for, readable by their owner alone. Who copies a data
directory copies its secret with it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from stream.errors import SettingsError

FILE_NAME = "secret"
SECRET_BYTES = 32


def instance_secret(data: Path) -> bytes:
    """Return the secret of a data directory, made now if there is none yet.

    Raises
    ------
    SettingsError
        It is no plain file, others may read it, or it is cut short.
    """
    path = data / FILE_NAME
    data.mkdir(parents=True, exist_ok=True)
    if not path.is_symlink() and not path.exists():
        _make(path)
    return _read(path)


def read_secret(data: Path) -> bytes:
    """Return the secret of a data directory without making one; raises `SettingsError`."""
    return _read(data / FILE_NAME)


def _make(path: Path) -> None:
    """Write a new secret beside its name and link it there: of two who make one, one wins, whole."""
    temporary = path.with_name(f"{FILE_NAME}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _refused(path, "is no plain file")
        if status.st_mode & 0o077:
            raise _refused(path, f"may be read by others (mode {stat.S_IMODE(status.st_mode):o})")
        found = os.read(descriptor, SECRET_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(found) != SECRET_BYTES:
        raise _refused(path, f"has not {SECRET_BYTES} bytes")
    return found


def _refused(path: Path, what: str) -> SettingsError:
    return SettingsError(
        f"the secret {path} {what}",
        field="data",
        hint="chmod 600 it if it is yours; without it a new one is made, and models have to be trained again",
    )
