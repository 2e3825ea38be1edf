"""Errors that the core raises on purpose, each with what a person needs to mend it.

The tree::

    AnomalyAIError
    |-- SchemaError          a declaration that cannot be read or contradicts itself
    |-- SchemaConflict       a declaration that would change the kind of fields that already hold data
    |-- UnreadableBody       bytes that are no records at all (a truncated array, no header, ...)
    |-- TooLarge             a body or frame above its limit
    |-- UnsupportedMedia     a media type that is not read
    |-- StateError           a snapshot or batch that does not fit the state it meets
    |-- ModelError           a model that cannot be trained, stored, verified or loaded
    `-- ParameterError       a parameter of a detector out of its range (a ValueError too)

One bad record among good ones is no exception: it becomes a `Rejection` and its neighbours are kept.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "AnomalyAIError",
    "ModelError",
    "ParameterError",
    "SchemaConflict",
    "SchemaError",
    "StateError",
    "TooLarge",
    "UnreadableBody",
    "UnsupportedMedia",
    "shorten",
]

SHOWN_CHARS = 60
"""How many characters of a foreign value an error text repeats at most."""


def shorten(value: object, limit: int = SHOWN_CHARS) -> str:
    """Return `value` as an error text may show it: one printable line of at most `limit` characters.

    >>> shorten("abc")
    '"abc"'
    >>> shorten("x" * 100, limit=8)
    '"xxxxxxxx..." (100 characters)'
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        head = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value[:limit])
        return f'"{head}"' if len(value) <= limit else f'"{head}..." ({len(value)} characters)'
    if isinstance(value, int) and value.bit_length() > 3 * limit:
        return f"an integer of {value.bit_length()} bits"
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


class AnomalyAIError(Exception):
    """Base of every error raised on purpose by this package.

    `code` is a stable machine-readable word, `message` says what was expected and what came, `field`
    names the field or option at fault (or is None), `hint` says what to do (or is None).
    """

    code: str = "error"

    def __init__(
        self, message: str, *, code: str | None = None, field: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code if code is not None else type(self).code
        self.message = message
        self.field = field
        self.hint = hint

    def __str__(self) -> str:
        """Return message and hint in one line."""
        return self.message if self.hint is None else f"{self.message}. {self.hint}"


class SchemaError(AnomalyAIError):
    """A schema declaration is malformed; `field` names the offending key or field."""

    code = "schema_invalid"


class SchemaConflict(AnomalyAIError):
    """A declaration would change the kind of fields that already hold accepted data.

    `fields` names them all; `field` is the first.
    """

    code = "schema_conflict"

    def __init__(self, message: str, *, fields: Sequence[str], hint: str | None = None) -> None:
        super().__init__(message, field=fields[0] if fields else None, hint=hint)
        self.fields: tuple[str, ...] = tuple(fields)


class UnreadableBody(AnomalyAIError):
    """A body as a whole cannot be read as records, so nothing of it was accepted."""

    code = "unreadable_body"


class TooLarge(AnomalyAIError):
    """A body or frame is above its size or record limit, so nothing of it was accepted."""

    code = "too_large"


class UnsupportedMedia(AnomalyAIError):
    """The media type of a body is none of those that are read."""

    code = "unsupported_media_type"


class StateError(AnomalyAIError):
    """Saved state cannot be restored, or a batch does not belong to the state that is asked to take it."""

    code = "state_invalid"


class ModelError(AnomalyAIError):
    """A model cannot be trained, stored, verified or loaded."""

    code = "model_invalid"


class ParameterError(AnomalyAIError, ValueError):
    """A parameter of a detector is not what it may be; `field` names it."""

    code = "parameter_invalid"
