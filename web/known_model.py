"""What every route about a model says of an id that no model has: 404, naming where the id was given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from anomalyai.errors import ModelError
from web.contract.operation import Refused
from web.refusal import RequestError

UNKNOWN = Refused(404, "unknown_model", "There is no such model.")
MISSING = ("model_missing", "model_id")


@contextmanager
def known_model(model_id: str | None, field: str = "id") -> Iterator[None]:
    """Refuse an id that no model has as a request for what is not there; `field` is where it was given.

    Without an id the model was none of the request's choice, and what is wrong with it is told as it is.

    Raises
    ------
    RequestError
        404: there is no such model.
    """
    try:
        yield
    except ModelError as error:
        if model_id is None or error.code not in MISSING:
            raise
        message = f"there is no model {model_id[:80]!r}"
        raise RequestError(
            404, "unknown_model", message, field=field, hint="GET /models lists them"
        ) from error
