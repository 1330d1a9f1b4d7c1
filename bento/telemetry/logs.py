"""Configure the service's log: one entry per line, as JSON or text, each with the id of its request.

This module sees no headers and no settings, so no API key can get into the log.
"""

from __future__ import annotations

import json
import logging
import textwrap
import warnings
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

request_id: ContextVar[str] = ContextVar("request_id", default="")
trace_id: ContextVar[str] = ContextVar("trace_id", default="")
"""32 hexadecimal digits while a request is traced."""

_OURS = {"time", "level", "logger", "message", "request_id", "trace_id", "exception", "stack"}
_LIBRARIES = {
    "bentoml": logging.INFO,
    # It would repeat the user's configuration, a TLS password included, each time that BentoML reads it.
    "bentoml._internal.configuration": logging.WARNING,
    "circus": logging.WARNING,
    "uvicorn.error": logging.WARNING,
}
"""Loggers of libraries with a level of their own, and that level."""
# Any other attribute of a record comes from `extra`.
_STANDARD = {*vars(logging.makeLogRecord({})), "asctime", "taskName"}


def configure(level: str, format: str) -> None:  # noqa: A002 - named as the setting
    """Log to standard error, what libraries say included.

    Args:
        level: lowest level to log: debug, info, warning or error. BentoML logs `info` at least, other libraries
            `warning`.
        format: `json` or `text`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger()
    # Libraries have given some loggers a handler, and so a format, of their own.
    for name in (*root.manager.loggerDict, *_LIBRARIES):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    root.handlers[:] = [handler]
    least = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(least, logging.WARNING))
    logging.getLogger("image_classifier").setLevel(least)
    for name, usual in _LIBRARIES.items():
        logging.getLogger(name).setLevel(max(least, usual))
    logging.captureWarnings(True)
    # These log a line for each bad body, which is already counted and answered with a code.
    for parser in ("python_multipart", "PIL"):
        logging.getLogger(parser).setLevel(logging.CRITICAL)
    # Python keeps the text of every warning it has shown, and a hostile file chooses the text.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")


class JsonFormatter(logging.Formatter):
    """One JSON object per line, in ASCII: `time` (RFC 3339, UTC), `level`, `logger` and `message`.

    If present, `request_id`, `trace_id`, `exception`, `stack` and every `extra` of another name follow.
    """

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": _of(record, request_id),
            "trace_id": _of(record, trace_id),
            "exception": self.formatException(record.exc_info) if record.exc_info else "",
            "stack": record.stack_info or "",
        }
        entry = {key: value for key, value in entry.items() if value or key == "message"}
        entry |= {key: value for key, value in vars(record).items() if key not in _STANDARD | _OURS}
        try:
            return json.dumps(entry, default=str, allow_nan=False)
        except (TypeError, ValueError):
            # The entry has a NaN, a cycle or a key that is no string. A readable form is enough.
            return json.dumps({key: value if isinstance(value, str) else repr(value) for key, value in entry.items()})


class TextFormatter(logging.Formatter):
    """`time level message [request_id]`, then an indented traceback. No entry can be forged to look like two."""

    def format(self, record: logging.LogRecord) -> str:
        message = "".join(char if char.isprintable() else repr(char)[1:-1] for char in record.getMessage())
        line = f"{_time(record)} {record.levelname} {message}"
        request = _of(record, request_id)
        if request:
            line += f" [{request}]"
        for block in (self.formatException(record.exc_info) if record.exc_info else "", record.stack_info or ""):
            if block:
                line += "\n" + textwrap.indent("\n".join(block.splitlines()), "  ")
        return line


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _of(record: logging.LogRecord, variable: ContextVar[str]) -> str:
    """Return the value passed in `extra`, otherwise the current request's."""
    return str(getattr(record, variable.name, "") or variable.get())
