"""What a route says of itself, beside its function: query, body, answers, refusals.

The same structs validate: a query or body read as another type than the one that is stated is a defect, and
fails the request. The documents are made of nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec
from flask import current_app, has_request_context, request

from anomalyai.errors import AnomalyAIError
from anomalyai.media import JSON

KEY = "operation"

View = TypeVar("View", bound=Callable[..., Any])


class Refused(NamedTuple):
    """A refusal that no error class stands for, as `RequestError` is given it."""

    status: int
    code: str
    says: str


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What one view takes and gives.

    `query` and `headers` are structs whose fields are the parameters; `body` has, for each media type that is
    read, a type or a tuple of those that it may be; `answers`, for each status, a type (JSON), types by media
    type, or None for no body. `raises` are the refusals of the route beyond those that follow from the rest.
    """

    answers: Mapping[int, Any]
    query: type[msgspec.Struct] | None = None
    headers: type[msgspec.Struct] | None = None
    body: Mapping[str, Any] | None = None
    raises: tuple[type[AnomalyAIError] | Refused, ...] = ()

    @property
    def body_types(self) -> tuple[Any, ...]:
        """The types that a body may be read as."""
        stated = (self.body or {}).values()
        return tuple(kind for each in stated for kind in (each if isinstance(each, tuple) else (each,)))

    @property
    def body_required(self) -> bool:
        """Whether an empty body is refused: where nothing has to be said, it says nothing."""
        return not any(
            isinstance(kind, type)
            and issubclass(kind, msgspec.Struct)
            and not any(field.required for field in msgspec.structs.fields(kind))
            for kind in self.body_types
        )


def operation(
    *,
    answers: Mapping[int, Any],
    query: type[msgspec.Struct] | None = None,
    headers: type[msgspec.Struct] | None = None,
    body: Any = None,
    raises: tuple[type[AnomalyAIError] | Refused, ...] = (),
) -> Callable[[View], View]:
    """State what a view takes and gives; goes below the route's decorator. A `body` type alone is JSON."""
    by_media = body if body is None or isinstance(body, Mapping) else {JSON: body}
    stated = Operation(answers=answers, query=query, headers=headers, body=by_media, raises=raises)

    def state(view: View) -> View:
        vars(view)[KEY] = stated
        return view

    return state


def operation_of(view: Callable[..., Any]) -> Operation | None:
    """Return what a view states; None where it states nothing."""
    stated = getattr(view, KEY, None)
    return stated if isinstance(stated, Operation) else None


def require_stated(kind: type[msgspec.Struct], part: str) -> None:
    """Fail where the request's view reads its `query` or `body` as a type that it does not state."""
    if not has_request_context() or request.endpoint is None:
        return
    stated = getattr(current_app.view_functions[request.endpoint], KEY, None)
    if stated is None:
        return
    known = (stated.query,) if part == "query" else stated.body_types
    if not any(isinstance(each, type) and issubclass(kind, each) for each in known):
        raise TypeError(f"{request.endpoint} reads its {part} as {kind.__name__}, and states {known}")
