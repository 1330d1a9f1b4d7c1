"""The format of log entries."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from bento.telemetry import logs
from bento.telemetry.logs import JsonFormatter, TextFormatter, configure

HOSTILE = 'first\nsecond\r\x1b[31m\u2028 "quoted" \\ \ud800 猫'


@pytest.fixture
def stream() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger, and its output as JSON."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter())
    logger = logging.Logger("image_classifier", logging.DEBUG)
    logger.addHandler(handler)
    yield logger, out
    handler.close()


def entry(out: io.StringIO) -> dict[str, Any]:
    text = out.getvalue()
    assert text.isascii()
    assert text.count("\n") == 1
    parsed: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    return parsed


def fail() -> None:
    raise ValueError("what\nhappened")


def test_an_entry_is_one_json_object_with_time_level_logger_and_message(
    stream: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, out = stream
    logger.info("ready after %d s", 3)
    found = entry(out)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("time"))
    assert found == {"level": "info", "logger": "image_classifier", "message": "ready after 3 s"}


def test_an_entry_has_the_ids_of_its_request_and_trace(stream: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = stream
    tokens = logs.request_id.set("r-1"), logs.trace_id.set("0af7651916cd43dd8448eb211c80319c")
    try:
        logger.warning("x")
    finally:
        logs.request_id.reset(tokens[0])
        logs.trace_id.reset(tokens[1])
    found = entry(out)
    assert (found["request_id"], found["trace_id"]) == ("r-1", "0af7651916cd43dd8448eb211c80319c")


def test_a_request_id_passed_with_the_entry_takes_precedence(stream: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = stream
    token = logs.request_id.set("r-1")
    try:
        logger.warning("x", extra={"request_id": "r-2"})
    finally:
        logs.request_id.reset(token)
    assert entry(out)["request_id"] == "r-2"


def test_other_extras_are_kept_and_never_replace_a_field(stream: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = stream
    logger.info("x", extra={"images": 3, "model": {"tag": "a:b"}, "level": "fake", "key": SecretStr("s3cret")})
    found = entry(out)
    assert (found["images"], found["model"], found["level"]) == (3, {"tag": "a:b"}, "info")
    assert "s3cret" not in out.getvalue()


def test_an_exception_is_one_string_with_its_traceback(stream: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = stream
    try:
        fail()
    except ValueError:
        logger.exception("failed", stack_info=True)
    found = entry(out)
    assert found["exception"].startswith("Traceback (most recent call last):\n")
    assert found["exception"].endswith("ValueError: what\nhappened")
    assert "in fail" in found["exception"]
    assert found["stack"].startswith("Stack (most recent call last):\n")


def test_no_message_can_break_a_line_of_json(stream: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = stream
    logger.error("%s", HOSTILE, extra={"request_id": HOSTILE, "field": HOSTILE})
    found = entry(out)
    assert (found["message"], found["request_id"], found["field"]) == (HOSTILE,) * 3


def test_values_that_json_cannot_express_are_still_logged(stream: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = stream
    cycle: list[Any] = []
    cycle.append(cycle)
    logger.info("x", extra={"cycle": cycle, "share": float("nan"), "odd": {(1, 2): 3}})
    found = entry(out)
    assert (found["message"], found["share"], found["odd"]) == ("x", "nan", "{(1, 2): 3}")


def test_a_text_entry_has_time_level_message_and_request() -> None:
    record = logging.makeLogRecord({"msg": "ready\nFAKE %s", "args": ("ä",), "levelname": "INFO", "request_id": "r-1"})
    line = TextFormatter().format(record)
    assert re.fullmatch(r"\S+Z INFO ready\\nFAKE ä \[r-1\]", line)
    assert TextFormatter().format(logging.makeLogRecord({"msg": "x", "levelname": "INFO"})).endswith(" INFO x")


def test_a_traceback_in_text_is_indented() -> None:
    try:
        fail()
    except ValueError:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info()})
    first, *rest = TextFormatter().format(record).split("\n")
    assert first.endswith("failed")
    assert rest[-1] == "  happened"
    assert all(line.startswith("  ") for line in rest)


@pytest.fixture
def kept_logging() -> Iterator[None]:
    """Restore the loggers after the test."""
    loggers = [logging.getLogger(name) for name in (None, "a.library", "python_multipart", "PIL", *logs._LIBRARIES)]
    loggers += [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    before = [(logger, logger.level, logger.propagate, [*logger.handlers]) for logger in loggers]
    with warnings.catch_warnings():
        yield
    logging.captureWarnings(False)
    for logger, level, propagate, handlers in before:
        logger.setLevel(level)
        logger.propagate, logger.handlers[:] = propagate, handlers


@pytest.mark.usefixtures("kept_logging")
@pytest.mark.parametrize(("level", "server"), [("debug", "WARNING"), ("info", "WARNING"), ("error", "ERROR")])
def test_the_service_and_every_library_log_in_one_format_and_once(
    level: str, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    library = logging.getLogger("a.library")
    library.addHandler(logging.StreamHandler())
    library.propagate = False
    configure(level, "text")
    configure(level, "json")
    service, uvicorn = logging.getLogger("image_classifier"), logging.getLogger("uvicorn.error")
    assert logging.getLevelName(service.level) == level.upper()
    assert logging.getLevelName(uvicorn.level) == server
    for logger in (service, uvicorn, library):
        logger.error("hello")
    entries = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [entry["logger"] for entry in entries] == ["image_classifier", "uvicorn.error", "a.library"]


@pytest.mark.usefixtures("kept_logging")
def test_a_warning_of_python_is_an_entry_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    warnings.simplefilter("always")
    warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["logger"] == "py.warnings"


@pytest.mark.usefixtures("kept_logging")
def test_decoders_log_nothing() -> None:
    configure("debug", "json")
    assert not logging.getLogger("python_multipart.multipart").isEnabledFor(logging.ERROR)
    assert not logging.getLogger("PIL.PngImagePlugin").isEnabledFor(logging.ERROR)
    warnings.warn_explicit("hostile text", UserWarning, "x.py", 1, module="PIL.TiffImagePlugin")
    with pytest.raises(UserWarning):
        warnings.warn_explicit("ours", UserWarning, "x.py", 1, module="bento.http.app")


@pytest.mark.parametrize(("format_", "start"), [("json", "{"), ("text", "2")])
def test_entries_go_to_standard_error(format_: str, start: str) -> None:
    script = (
        "import logging; from bento.telemetry import logs; "
        f"logs.configure('info', {format_!r}); logging.getLogger('image_classifier').info('hello')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.startswith(start)
    assert "hello" in done.stderr
