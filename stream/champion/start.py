"""What a feed without settled records begins with, when a model brings its start state."""

from __future__ import annotations

import msgspec

from anomalyai.manifest import Manifest
from anomalyai.pipeline import Pipeline
from anomalyai.schema import FeedSchema
from stream.models import Models


def start_schema(manifest: Manifest) -> FeedSchema | None:
    """Return the schema that a model's training data left, None where it has no start state.

    Every field counts as declared, so that what is inferred from the feed's first records cannot change the
    model's columns.
    """
    if manifest.start_sha256 is None or manifest.schema is None:
        return None
    schema = msgspec.convert(manifest.schema, FeedSchema)
    fields = tuple(msgspec.structs.replace(field, declared=True) for field in schema.fields)
    return schema.replace(fields=fields, settled=False)


def started(feed: str, manifest: Manifest, models: Models) -> Pipeline | None:
    """Return the pipeline of a feed that has just begun with a model; None where that has no start state."""
    schema = start_schema(manifest)
    if schema is None or manifest.start_sha256 is None:
        return None
    pipeline = Pipeline(schema, feed=feed)
    start = models.start(manifest.id, manifest.start_sha256)
    pipeline.start_from(start, manifest.id, models.load(manifest.id, manifest.sha256))
    return pipeline
