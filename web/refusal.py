"""What the web layer itself refuses; a leaf, so that every other module may raise it."""

from __future__ import annotations

from anomalyai.errors import AnomalyAIError


class RequestError(AnomalyAIError):
    """A request that the web layer itself refuses, with the HTTP status to say it with."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, code=code, field=field, hint=hint)
        self.status = status
