"""OpenTelemetry traces of real requests, received by an OTLP collector."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from bento.telemetry import logs, tracing
from tests.integration.conftest import Server, Store, free_port, serving
from tests.stored import picture

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
KEY = "key-that-must-stay-secret"


class Collector:
    """A collector that keeps the spans it receives, and answers 503 while `down`."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resource: dict[str, str] = {}
        self.down = False
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if not collector.down:
                    collector.take(self.path, body)
                self.send_response(503 if collector.down else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resource = {pair.key: pair.value.string_value for pair in group.resource.attributes}
            for scope in group.scope_spans:
                self.spans += scope.spans

    def of(self, trace: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id.hex() == trace]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(scope="module")
def traced(colour_store: tuple[Store, str], collector: Collector) -> Iterator[Server]:
    variables: dict[str, Any] = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "API_KEYS": KEY,
    }
    with serving(colour_store[0], ".", LOG_LEVEL="debug", **variables) as server:
        yield server


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.02)


def attributes(span: Span) -> dict[str, Any]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


def test_a_request_is_a_span_of_its_caller_s_trace_with_its_stages_inside(
    traced: Server, collector: Collector, colour_store: tuple[Store, str]
) -> None:
    before = time.time_ns()
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-api-key": KEY, "x-request-id": "r-1"}
    assert traced.predict(picture("red"), **headers).status_code == 200
    wait_for(lambda: collector.of(TRACE))
    spans = collector.of(TRACE)
    (server,) = [span for span in spans if span.kind == Span.SPAN_KIND_SERVER]
    assert (server.name, server.parent_span_id.hex()) == ("POST /predict", PARENT)
    assert before <= server.start_time_unix_nano < server.end_time_unix_nano <= time.time_ns()
    children = {span.name: span for span in spans if span.parent_span_id == server.span_id}
    assert set(children) >= {"receive", "decode", "inference"}
    assert len(spans) == 1 + len(children)
    for child in children.values():
        assert server.start_time_unix_nano <= child.start_time_unix_nano
        assert child.start_time_unix_nano <= child.end_time_unix_nano <= server.end_time_unix_nano
    known = attributes(server)
    assert known["http.request.method"] == "POST"
    assert known["http.route"] == "/predict"
    assert known["http.response.status_code"] == 200
    assert "r-1" in known.values()
    assert colour_store[1] in known.values()
    assert collector.resource["service.name"] == "image_classifier"
    assert KEY not in str(spans)


def test_a_request_without_a_trace_starts_one(traced: Server, collector: Collector) -> None:
    traced.get("/version", headers={"traceparent": "00-no-trace-01"})
    wait_for(lambda: any(span.name == "GET /version" for span in collector.spans))
    (span,) = [span for span in collector.spans if span.name == "GET /version"]
    assert len(span.trace_id) == 16
    assert span.parent_span_id == b""


def test_a_trace_that_its_caller_does_not_sample_gets_no_span(traced: Server, collector: Collector) -> None:
    unsampled, after = "1" * 32, "2" * 32
    traced.get("/livez", headers={"traceparent": f"00-{unsampled}-{PARENT}-00"})
    traced.get("/livez", headers={"traceparent": f"00-{after}-{PARENT}-01"})
    wait_for(lambda: collector.of(after))
    assert not collector.of(unsampled)


def test_errors_and_scans_create_few_span_names(traced: Server, collector: Collector) -> None:
    trace = "3" * 32
    headers = {"traceparent": f"00-{trace}-{PARENT}-01"}
    traced.get("/scan/1.php", headers=headers)
    httpx.request("DELETE", traced.url + "/predict", headers=headers)
    wait_for(lambda: len(collector.of(trace)) == 2)
    assert {span.name for span in collector.of(trace)} == {"HTTP", "HTTP /predict"}
    for span in collector.of(trace):
        assert attributes(span)["http.response.status_code"] in (404, 405)
        # A client's mistake doesn't mark the server's span as an error.
        assert span.status.code == Status.STATUS_CODE_UNSET


def test_an_invalid_tracestate_logs_nothing(traced: Server, collector: Collector) -> None:
    trace = "7" * 32
    before = traced.log.stat().st_size
    headers = {"traceparent": f"00-{trace}-{PARENT}-01", "tracestate": "," * 100 + "no member," * 100}
    traced.get("/livez", headers=headers)
    wait_for(lambda: collector.of(trace))
    assert traced.log.stat().st_size == before


def test_the_log_is_json_and_holds_no_key(traced: Server) -> None:
    httpx.post(traced.url + "/predict", headers={"authorization": f"Bearer {KEY}", "x-api-key": f"{KEY}-wrong"})
    log = traced.log.read_text()
    ours = [line for line in log.splitlines() if "image_classifier" in line and line.startswith("{")]
    assert any(json.loads(line)["message"].startswith("ready after") for line in ours)
    assert KEY not in log


def test_a_collector_that_is_down_fails_no_request_and_is_logged_once(
    colour_store: tuple[Store, str], collector: Collector
) -> None:
    variables: dict[str, Any] = {
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_BSP_MAX_QUEUE_SIZE": "64",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8",
    }
    variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://user:{KEY}@127.0.0.1:{free_port()}"
    with serving(colour_store[0], ".", OTEL_EXPORTER_OTLP_TIMEOUT="0.2", **variables) as server:
        for _ in range(200):
            assert server.predict(picture("green")).status_code == 200
        wait_for(lambda: "traces can't be sent" in server.log.read_text())
        for _ in range(50):
            assert server.predict(picture("green")).status_code == 200
        assert server.stop() == 0
        log = server.log.read_text()
    assert log.count("traces can't be sent to 127.0.0.1:") == 1
    assert "opentelemetry" not in log
    assert "Traceback" not in log
    assert KEY not in log


def test_a_collector_that_comes_back_gets_spans_again_up_to_the_last(
    colour_store: tuple[Store, str], collector: Collector
) -> None:
    variables: dict[str, Any] = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.url + "/v1/traces",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_SERVICE_NAME": "mine",
    }
    trace = "4" * 32
    with contextlib.ExitStack() as stack:
        stack.callback(setattr, collector, "down", False)
        collector.down = True
        server = stack.enter_context(serving(colour_store[0], ".", **variables))
        wait_for(lambda: "traces can't be sent" in server.log.read_text())
        collector.down = False
        server.get("/livez")
        wait_for(lambda: "traces are sent again" in server.log.read_text())
        server.get("/livez", headers={"traceparent": f"00-{trace}-{PARENT}-01"})
        assert server.stop() == 0
    assert len(collector.of(trace)) == 1
    assert collector.resource["service.name"] == "mine"


def test_the_standard_variables_set_the_share_of_sampled_traces(
    colour_store: tuple[Store, str], collector: Collector
) -> None:
    variables: dict[str, Any] = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_TRACES_SAMPLER": "always_off"}
    trace = "5" * 32
    with serving(colour_store[0], ".", **variables) as server:
        server.get("/livez", headers={"traceparent": f"00-{trace}-{PARENT}-01"})
        assert server.stop() == 0
    assert not collector.of(trace)


@pytest.mark.parametrize("traceparent", [None, f"00-{'6' * 32}-{PARENT}-01"])
def test_the_log_knows_the_trace_before_the_span_is_made(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, traceparent: str | None
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    tracer = tracing.start()
    assert tracer is not None
    headers = [(b"traceparent", traceparent.encode())] if traceparent else []
    token = logs.trace_id.set("")
    try:
        tracer.begin(headers)
        entry = json.loads(logs.JsonFormatter().format(logging.makeLogRecord({"msg": "x"})))
        stages = {"receive": (1_000, 2_000), "queue": (2_000, 3_000)}
        tracer.record("/predict", "POST", 503, headers, 1_000, 4_000, stages, {})
    finally:
        logs.trace_id.reset(token)
    tracer.stop()
    server, *children = sorted(collector.of(entry["trace_id"]), key=lambda span: (-span.kind, span.name))
    assert traceparent is None or entry["trace_id"] == "6" * 32
    assert (server.start_time_unix_nano, server.end_time_unix_nano) == (1_000, 4_000)
    assert server.status.code == Status.STATUS_CODE_ERROR
    found = {span.name: (span.start_time_unix_nano, span.end_time_unix_nano) for span in children}
    assert found == stages


START = (
    "import json, sys; from bento.http import app; from bento.telemetry import tracing; tracer = tracing.start(); "
    "print(json.dumps([tracer is not None, [m for m in sys.modules if m.startswith('opentelemetry')]]))"
)


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}, True),
    ],
)
def test_opentelemetry_is_imported_only_if_a_collector_is_configured(variables: dict[str, str], on: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")} | variables
    command = [sys.executable, "-c", START]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    started, modules = json.loads(done.stdout)
    assert started is on
    assert bool(modules) is on


def test_an_invalid_variable_gives_one_line_and_no_traces() -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_MAX_QUEUE_SIZE": "0"}
    command = [sys.executable, "-c", START]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout)[0] is False
    assert len(done.stderr.splitlines()) == 1
    assert "no traces: " in done.stderr
