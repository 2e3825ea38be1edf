"""What the program says on stderr: text for people, or one JSON object a line for log collectors.

A JSON line has `time` (RFC 3339 UTC), `level`, `logger`, `message`, and `exception` where there is one. With
JSON everything goes this way, gunicorn's own lines, Python's warnings and what ends a thread included. No
line holds a record.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any, Literal

import msgspec
import structlog
from gunicorn.glogging import Logger
from structlog.stdlib import ProcessorFormatter, add_log_level, add_logger_name

__all__ = ["JsonLogger", "LogFormat", "announce", "set_up"]

LogFormat = Literal["text", "json"]

log = logging.getLogger("anomalyai.web")


def set_up(log_format: LogFormat) -> None:
    """Send what is logged to stderr in one form; called again, it replaces what it did before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(json_formatter() if log_format == "json" else TextFormatter())
    logging.getLogger().handlers[:] = [handler]
    logging.getLogger("anomalyai").setLevel(logging.INFO)
    if log_format == "json":
        logging.captureWarnings(True)
        sys.excepthook = _log_uncaught
        threading.excepthook = lambda args: _log_uncaught(
            args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
        )


def announce(text: str, level: int = logging.INFO) -> None:
    """Say something that in text stands on a line as it is, without time and level."""
    log.log(level, text, extra={"as_it_is": True})


class TextFormatter(logging.Formatter):
    """Time, level and message; what was announced is the message alone."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._plain = logging.Formatter("%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Write a line."""
        return self._plain.format(record) if hasattr(record, "as_it_is") else super().format(record)


class JsonLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger, in JSON."""

    def setup(self, cfg: Any) -> None:
        """Set up what gunicorn does, and take its forms away."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(json_formatter())


def json_formatter() -> ProcessorFormatter:
    """Return a formatter that makes one JSON object of a record."""
    return ProcessorFormatter(
        foreign_pre_chain=[
            add_log_level,
            add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        ],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(serializer=_encode),
        ],
    )


def _encode(fields: dict[str, Any], **_: Any) -> str:
    return msgspec.json.encode(fields).decode()


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        log.critical("nobody caught %s", kind.__name__, exc_info=(kind, error, trace))
