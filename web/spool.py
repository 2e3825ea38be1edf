"""A body that may be a large file: small ones in memory, others on disk, as a body or in a form.

What is on disk goes away with the request.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, NamedTuple

from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.wsgi import get_input_stream

from anomalyai.errors import TooLarge, UnreadableBody, UnsupportedMedia
from anomalyai.media import CSV, JSON, NDJSON, media_of
from stream.errors import NotReady
from stream.prediction import Source
from web.body import GZIP_WINDOW, STEP_BYTES, body_pieces, drain
from web.refusal import RequestError

FORM = "multipart/form-data"
FIELD = "file"
MAX_FORM_PARTS = 16
HEAD_BYTES = 4096


class Limits(NamedTuple):
    """How much is taken, where that is set, and up to what it is kept in memory."""

    max_bytes: int
    setting: str
    max_memory_bytes: int

    def exceeded(self) -> TooLarge:
        """Return the error of what is larger."""
        return TooLarge(
            f"expected a body of at most {self.max_bytes} bytes, got more",
            hint=f"send it in smaller parts, or raise {self.setting}",
        )


class Upload(NamedTuple):
    """What was received; `path` is where it is on disk, if it is there."""

    source: Source
    path: Path | None

    def remove(self) -> None:
        """Remove what is on disk."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def receive(folder: Path, limits: Limits) -> Upload:
    """Return the request's body, or the file `file` of a form; files go into `folder`.

    Raises
    ------
    TooLarge, UnreadableBody, UnsupportedMedia, RequestError, NotReady
        It is too large, broken, of no kind that is read, or the disk has no room for it.
    """
    if request.mimetype == FORM:
        return _of_form(folder, limits)
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise UnsupportedMedia(
            f"expected Content-Encoding gzip or none, got {encoding[:40]!r}", field="Content-Encoding"
        )
    received = body_pieces(limits.max_bytes, limits.exceeded())
    pieces = received if encoding == "identity" else _unpacked(received, limits)
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size > limits.max_memory_bytes:
            media = media_of(request.content_type, parts[0][:HEAD_BYTES])
            return _to_disk(folder, chain(parts, pieces), media, limits)
    return Upload(Source(b"".join(parts), request.content_type), None)


def _to_disk(folder: Path, pieces: Iterable[bytes], media: str, limits: Limits) -> Upload:
    file = _File(folder, limits)
    whole = False
    try:
        for piece in pieces:
            file.write(piece)
        file.close()
        whole = True
    finally:
        if not whole:
            file.remove()
    return Upload(Source(file.path, media), file.path)


def _unpacked(pieces: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(GZIP_WINDOW)
    size = 0
    try:
        for piece in pieces:
            packed = piece
            while packed:
                data = unpacker.decompress(packed, STEP_BYTES)
                packed = unpacker.unconsumed_tail
                size += len(data)
                if size > limits.max_bytes:
                    raise limits.exceeded()
                yield data
            if unpacker.unused_data:
                break
    except zlib.error as error:
        raise RequestError(
            400, "body_broken", f"the body is not gzip: {error}", field="Content-Encoding"
        ) from error
    if not unpacker.eof or unpacker.unused_data:
        raise RequestError(
            400,
            "body_broken",
            "the gzip body is cut short or followed by something",
            field="Content-Encoding",
        )


def _of_form(folder: Path, limits: Limits) -> Upload:
    """Take the one file of a form, written to disk as it comes."""
    made: list[_File] = []

    def open_file(*_: object, **__: object) -> IO[bytes]:
        made.append(_File(folder, limits))
        return made[-1]  # type: ignore[return-value]

    stream = get_input_stream(request.environ)
    parser = FormDataParser(
        stream_factory=open_file,
        max_form_memory_size=STEP_BYTES,
        max_content_length=limits.max_bytes + STEP_BYTES,
        max_form_parts=MAX_FORM_PARTS,
        silent=False,
    )
    whole = False
    try:
        _, form, files = parser.parse(stream, FORM, request.content_length, request.mimetype_params)
        names = [*form, *files]
        unknown = [name for name in names if name != FIELD]
        if unknown or len(made) != 1 or len(names) != 1:
            raise RequestError(
                400,
                "bad_form",
                f"unknown part {unknown[0][:60]!r}"
                if unknown
                else f"expected one file {FIELD!r} in the form",
                field=unknown[0][:60] if unknown else FIELD,
                hint=f"curl -F {FIELD}=@records.csv",
            )
        content_type = files[FIELD].mimetype
        made[0].close()
        whole = True
    except RequestEntityTooLarge as error:
        drain(stream)
        raise limits.exceeded() from error
    except (TimeoutError, BlockingIOError) as error:
        raise RequestError(408, "timeout", "the form stalled") from error
    except (OSError, ParseException, ValueError) as error:
        raise UnreadableBody(f"the form cannot be read: {error}", code="bad_form") from error
    finally:
        if not whole:
            for file in made:
                file.remove()
    path = made[0].path
    if path.stat().st_size == 0:
        made[0].remove()
        raise UnreadableBody(f"the file {FIELD!r} is empty", field=FIELD)
    return Upload(Source(path, content_type if content_type in (CSV, JSON, NDJSON) else None), path)


class _File:
    """A new file of bounded size in a folder; what werkzeug asks of a file to write a part to."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._limits = limits
        self._size_bytes = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=folder)
        except OSError as error:
            raise _no_room(error) from error
        self.path = Path(name)
        self._file = os.fdopen(descriptor, "w+b")

    def write(self, data: bytes) -> int:
        """Write a piece; raises `TooLarge`, or `NotReady` where the disk refuses it."""
        self._size_bytes += len(data)
        if self._size_bytes > self._limits.max_bytes:
            raise self._limits.exceeded()
        try:
            return self._file.write(data)
        except OSError as error:
            raise _no_room(error) from error

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move the place to go on from."""
        return self._file.seek(offset, whence)

    def close(self) -> None:
        """Finish writing."""
        try:
            self._file.close()
        except OSError as error:
            raise _no_room(error) from error

    def remove(self) -> None:
        """Remove the file, finished or not."""
        self.path.unlink(missing_ok=True)
        self._file.close()


def _no_room(error: OSError) -> NotReady:
    return NotReady(f"the upload cannot be kept: {error.strerror}", hint="make room on the server's disk")
