"""Records to train on, as a request brings them: the body itself, or the part `file` of a form, put on disk.

A body is never held in memory as a whole. A form has the parts `file` and `options` (JSON) and no others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import PurePath

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from anomalyai.errors import TooLarge, UnreadableBody, UnsupportedMedia
from anomalyai.files import read_batches
from anomalyai.media import CSV, JSON, NDJSON, media_of
from anomalyai.records import RecordBatch
from anomalyai.training import MIN_ROWS
from stream.training.reception import Reception
from web.body import body_pieces
from web.refusal import RequestError
from web.site import current_site

FORM = "multipart/form-data"
MAX_OPTIONS_BYTES = 65_536
FORM_BYTES = 1 << 20
"""What a form may have besides its file."""

DECODER_BYTES = 4 << 20
MAX_PARTS = 2
LOOKED_AT_BYTES = 1 << 20
"""A file up to here is looked at before its job is taken, so that what is wrong is said at once."""

PACKED = ("application/gzip", "application/x-gzip", "application/octet-stream", "text/plain")
SUFFIXES = {".csv": CSV, ".json": JSON, ".ndjson": NDJSON, ".jsonl": NDJSON}


def receive(reception: Reception) -> tuple[str, bytes | None]:
    """Receive the request's records; returns their media type, and the form's options where it has some.

    Raises
    ------
    UnreadableBody, TooLarge, UnsupportedMedia, DiskFull
        It holds no records that can be read, or does not fit.
    RequestError
        The request is broken, or is no form such as this takes.
    """
    limit = current_site().settings.training.max_upload_bytes
    too_large = TooLarge(
        f"expected at most {limit} bytes, got more",
        hint="train on a part of it, or raise training.max_upload_bytes",
    )
    if request.content_length:
        reception.require_room(min(request.content_length, limit))
    if request.mimetype == FORM:
        return _received_form(reception, limit, too_large)
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise UnsupportedMedia(
            f"expected Content-Encoding gzip or none, got {encoding[:40]!r}", field="Content-Encoding"
        )
    content_type = None if request.mimetype in PACKED else request.content_type
    media_of(content_type, b"{}")  # one that is not read is refused before it has come
    with closing(body_pieces(limit, too_large)) as pieces:
        for piece in pieces:
            reception.write(piece)
    reception.finish()
    return media_of(content_type, reception.head), None


def require_rows(reception: Reception, media: str) -> None:
    """Check, where the file is small, that it has enough records to train on; raises `UnreadableBody`."""
    if reception.size_bytes > LOOKED_AT_BYTES:
        return
    batches = read_batches(reception.path, form="csv" if media == CSV else None)
    rows = sum(item.n for item in batches if isinstance(item, RecordBatch))
    if rows >= MIN_ROWS:
        return
    why, field = "", None
    if batches.rejections:
        first = batches.rejections[0]
        field = first.field
        why = f"; {batches.rejected} were refused, the first is row {first.index + 1}: {first.error}"
    raise UnreadableBody(
        f"expected at least {MIN_ROWS} records to train on, got {rows}{why}",
        code="too_few_rows",
        field=field,
        hint="send more records",
    )


def _received_form(reception: Reception, limit: int, too_large: TooLarge) -> tuple[str, bytes | None]:
    boundary = request.mimetype_params.get("boundary", "")
    if not boundary:
        raise _bad_form("its Content-Type names no boundary")
    media: str | None = None
    options: bytes | None = None
    name = ""
    with closing(body_pieces(limit + FORM_BYTES, too_large)) as pieces:
        for event in _events(pieces, boundary):
            if isinstance(event, Field | File):
                name = event.name
                if name not in ("file", "options") or (options if name == "options" else media) is not None:
                    raise _bad_form(f"expected the parts file and options, once each, got {name[:60]!r}")
                if name == "options":
                    options = b""
                else:
                    media = _named_media(event)
            elif isinstance(event, Data) and name == "file":
                reception.write(bytes(event.data))
            elif isinstance(event, Data):
                options = (options or b"") + bytes(event.data)
                if len(options) > MAX_OPTIONS_BYTES:
                    raise _bad_form(f"expected options of at most {MAX_OPTIONS_BYTES} bytes")
    if media is None:
        raise _bad_form("the part file is missing")
    reception.finish()
    return media_of(media or None, reception.head), options


def _named_media(part: Field | File) -> str:
    """Return the media type that a part's file name or header tells, empty where its bytes have to."""
    if isinstance(part, File) and part.filename:
        names = [suffix.lower() for suffix in PurePath(part.filename).suffixes if suffix.lower() != ".gz"]
        if names and names[-1] in SUFFIXES:
            return SUFFIXES[names[-1]]
    stated = part.headers.get("Content-Type", "")
    return "" if stated.partition(";")[0].strip().lower() in PACKED else stated


def _events(pieces: Iterator[bytes], boundary: str) -> Iterator[Field | File | Data]:
    """Yield the parts of a form with their data as it comes."""
    decoder = MultipartDecoder(
        boundary.encode("latin-1", "replace"), max_form_memory_size=DECODER_BYTES, max_parts=MAX_PARTS
    )
    ended = False
    try:
        for piece in pieces:
            decoder.receive_data(piece)
            while not ended and not isinstance(event := decoder.next_event(), NeedData):
                ended = isinstance(event, Epilogue)
                if isinstance(event, Field | File | Data):
                    yield event
        if not ended:
            decoder.receive_data(None)
            while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
                if isinstance(event, Field | File | Data):
                    yield event
            ended = isinstance(event, Epilogue)
    except RequestEntityTooLarge as error:
        raise _bad_form(f"expected at most {MAX_PARTS} parts with short headers") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise _bad_form(f"it is no {FORM}: {error}") from error
    if not ended:
        raise _bad_form("it ends before its last boundary")


def _bad_form(what: str) -> RequestError:
    return RequestError(
        400,
        "bad_form",
        f"the form cannot be read: {what}",
        field="Content-Type" if "boundary" in what else None,
        hint='curl -F file=@records.csv -F \'options={"algorithm": "kmeans"}\' sends such a form',
    )
