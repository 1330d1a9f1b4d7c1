"""The service's log: one entry a line, as JSON or as text, each with the request it belongs to.

Nothing here knows headers or settings: API keys have no way in.
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
# Whatever a record has beyond these came by `extra`.
_STANDARD = {*vars(logging.makeLogRecord({})), "asctime", "taskName"}


def configure(level: str, format: str) -> None:  # noqa: A002 - called what the setting is called
    """Log to stderr, with a handler of our own.

    Args:
        level: the least that is logged: debug, info, warning or error; of the HTTP server, at least warning.
        format: `json` or `text`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    least = logging.getLevelNamesMapping()[level.upper()]
    for name, threshold in (("image_classifier", least), ("uvicorn.error", max(least, logging.WARNING))):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(threshold)
    # These would write a line for each bad body, which is answered with its code and counted.
    for parser in ("python_multipart", "PIL"):
        logging.getLogger(parser).setLevel(logging.CRITICAL)
    # Python also remembers every text it has warned of, and a hostile file chooses the text.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in ASCII: `time` (RFC 3339, UTC), `level`, `logger`, `message` and what else there is.

    That is `request_id`, `trace_id`, `exception`, `stack` and every `extra` of another name.
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
            # A NaN, a cycle, a key that is no string: legible is enough.
            return json.dumps({key: value if isinstance(value, str) else repr(value) for key, value in entry.items()})


class TextFormatter(logging.Formatter):
    """`time level message [request_id]`; a traceback follows indented: no entry can be made to look like two."""

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
    """What the caller gave by `extra`, else what the request at hand has."""
    return str(getattr(record, variable.name, "") or variable.get())
