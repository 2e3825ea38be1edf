"""A file on its way in: to disk as it comes, unpacked if it is gzip, bounded in size, with disk to spare.

Nothing of it is read but its first bytes until a training process takes it, and nothing is unpickled ever.
For one thread.
"""

from __future__ import annotations

import secrets
import shutil
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

from anomalyai.errors import TooLarge, UnreadableBody
from stream.errors import DiskFull

SPARE_BYTES = 256 << 20
"""What must stay free on the disk: the log needs some."""

STEP_BYTES = 1 << 20
HEAD_BYTES = 65_536
LOOK_EVERY_BYTES = 16 << 20
GZIP = b"\x1f\x8b"
GZIP_WINDOW = 31


class Reception:
    """Receives one file into a folder; leaving the block removes it, unless it was taken away.

    `head` are its first bytes, `size_bytes` how many have come, both unpacked.
    """

    def __init__(self, folder: Path, max_bytes: int, spare_bytes: int = SPARE_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f".incoming-{secrets.token_hex(8)}"
        self.head = b""
        self.size_bytes = 0
        self._max_bytes = max_bytes
        self._spare_bytes = spare_bytes
        self._looked_bytes = -LOOK_EVERY_BYTES
        self._start = b""
        self._begun = False
        self._unpacker: zlib._Decompress | None = None
        self._file = self.path.open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what is still here."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def write(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises
        ------
        TooLarge
            The file is larger than it may be, unpacked.
        DiskFull
            It does not fit on the disk.
        UnreadableBody
            It is broken gzip.
        """
        if self._begun:
            self._take(piece)
            return
        self._start += piece
        if len(self._start) >= len(GZIP):
            self._begin()

    def finish(self) -> None:
        """Note that nothing more comes; raises as `write` does."""
        if not self._begun:
            self._begin()
        if self._unpacker is not None and not self._unpacker.eof:
            raise UnreadableBody("expected a whole gzip file, got one that is cut short", code="body_broken")
        self._file.close()

    def _begin(self) -> None:
        self._begun = True
        if self._start.startswith(GZIP):
            self._unpacker = zlib.decompressobj(GZIP_WINDOW)
        self._take(self._start)

    def _take(self, piece: bytes) -> None:
        if self._unpacker is None:
            self._keep(piece)
            return
        try:
            while piece:
                if self._unpacker.eof:  # gzip files may stand one after another
                    self._unpacker = zlib.decompressobj(GZIP_WINDOW)
                self._keep(self._unpacker.decompress(piece, STEP_BYTES))
                piece = self._unpacker.unconsumed_tail or self._unpacker.unused_data
        except zlib.error as error:
            raise UnreadableBody(f"the file is not gzip: {error}", code="body_broken") from error

    def _keep(self, data: bytes) -> None:
        self.size_bytes += len(data)
        if self.size_bytes > self._max_bytes:
            raise TooLarge(
                f"expected a file of at most {self._max_bytes} bytes, unpacked, got more",
                hint="train on a part of it, or raise training.max_upload_bytes",
            )
        if self.size_bytes - self._looked_bytes >= LOOK_EVERY_BYTES:
            self.require_room(LOOK_EVERY_BYTES)
            self._looked_bytes = self.size_bytes
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]
        try:
            self._file.write(data)
        except OSError as error:
            raise DiskFull(f"the file could not be written: {error}", hint="free some of the disk") from error

    def require_room(self, size_bytes: int) -> None:
        """Check that so much more fits on the disk; raises `DiskFull`."""
        free_bytes = shutil.disk_usage(self.path.parent).free
        if free_bytes - size_bytes < self._spare_bytes:
            raise DiskFull(
                f"the disk has {free_bytes} bytes free, of which {self._spare_bytes} are kept for the log",
                hint="free some of the disk, or send a smaller file",
            )
