"""What is known of a trained model without loading it."""

from __future__ import annotations

from typing import Any

import msgspec


class TrainingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a training says of itself.

    `fingerprint` is the SHA-256 of the training rows; `rows` were read, `rows_used` trained on, `sampled`
    says whether these are a seeded sample. `first_time_s` and `last_time_s` are event times (epoch seconds),
    None where records have none. `metrics` is what was measured on the last part of the data.
    """

    schema: dict[str, Any] | None = None
    parameters: dict[str, Any] = {}
    preprocessing: dict[str, Any] = {}
    seed: int = 0
    fingerprint: str | None = None
    rows: int = 0
    rows_used: int = 0
    sampled: bool = False
    first_time_s: float | None = None
    last_time_s: float | None = None
    metrics: dict[str, Any] = {}


class Manifest(TrainingFacts, frozen=True, kw_only=True):
    """A model's manifest; it stands beside the artefact and is signed together with it.

    `columns` are the feature columns it reads, in order; `last_seq` the record that completed its training
    set, 0 for uploaded data. `sha256` is the artefact's, `start_sha256` that of the pipeline state which the
    training data left (`Pipeline.dumps`), None where none is kept. `created_s` is epoch seconds, `created_by`
    who asked: "first", "schedule", "drift", "hand" (the API) or "command line".
    """

    id: str
    feed: str
    algorithm: str
    columns: tuple[str, ...]
    last_seq: int
    sha256: str
    size_bytes: int
    libraries: dict[str, str]
    start_sha256: str | None = None
    created_s: float | None = None
    created_by: str = "first"
    hmac: str | None = None
