"""Records as bodies carry them, by media type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from msgspec import Meta

from anomalyai.media import CSV, JSON, NDJSON

Record = dict[str, Any]
Csv = Annotated[str, Meta(description="CSV with a header line, in UTF-8.")]
LabelsCsv = Annotated[str, Meta(description="CSV in UTF-8 with the header `seq,label` or `id,label`.")]
NdJson = Annotated[str, Meta(description="A JSON object a line.")]
Records = Annotated[
    Record | list[Record],
    Meta(
        description="One record or several; values are numbers, strings, booleans, null, objects, arrays.",
        examples=[{"time": "2026-03-01T10:00:00Z", "customer": "c17", "amount": 12.5}],
    ),
]

RECORDS: Final[Mapping[str, Any]] = {JSON: Records, NDJSON: NdJson, CSV: Csv}
"""What records may be sent as."""
