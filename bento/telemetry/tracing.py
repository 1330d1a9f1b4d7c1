"""OpenTelemetry traces, made after the answer has gone: without a collector configured, none of it is imported.

Configured by OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_BSP_*, ...).
https://opentelemetry.io/docs/specs/semconv/http/http-spans
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bento.telemetry import logs
from bento.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

logger = logging.getLogger("image_classifier")

_STOP_SECONDS = 3.0
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"


def start() -> Tracer | None:
    """Return the tracer, or None where no collector is configured or tracing is switched off."""
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    if endpoint is None or off:
        return None
    protocol = next((os.environ[name] for name in _PROTOCOLS if os.environ.get(name)), _PROTOCOL)
    if protocol != _PROTOCOL:
        logger.warning("traces are sent by %s; %s is not supported", _PROTOCOL, protocol)
    try:
        # Without a password that the URL may carry.
        return Tracer(endpoint.rpartition("@")[2])
    except ValueError as error:
        # Only what is wrong in its variables; that must not keep the service from running.
        logger.error("no traces: %s", error)
        return None


class Tracer:
    """Makes spans of answered requests and sends them from a thread of its own.

    A collector that can't be reached costs spans, never requests: the queue is bounded, and its state is logged
    when it changes, once.

    Args:
        collector: what the log calls it; where it is, the environment says.

    Raises:
        ValueError: a variable of OpenTelemetry's has a senseless value.
    """

    def __init__(self, collector: str) -> None:
        from opentelemetry import trace
        from opentelemetry.context import Context
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.semconv.attributes import error_attributes, http_attributes, url_attributes
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        class IdGenerator(RandomIdGenerator):
            def generate_trace_id(self) -> int:
                # The log may have told it already.
                return int(logs.trace_id.get() or _new_trace_id(), 16)

        # They write a line for each attempt and each span that is dropped; `_reporting` writes what matters. And one
        # for each of the hundreds of members that a client may put into a senseless `tracestate`.
        for noisy in ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal", "opentelemetry.trace"):
            logging.getLogger(noisy).setLevel(logging.CRITICAL)
        resource = Resource.create({SERVICE_VERSION: VERSION})
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: "image_classifier"}))
        self._api = trace
        self._http, self._url, self._error = http_attributes, url_attributes, error_attributes
        self._no_context = Context()
        self._propagator = TraceContextTextMapPropagator()
        # Not made the process's global one: BentoML would send its own spans to it.
        self._provider = TracerProvider(resource=resource, id_generator=IdGenerator(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_reporting(OTLPSpanExporter(), collector)))
        self._tracer = self._provider.get_tracer("image_classifier", VERSION)

    def begin(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Give the request at hand its trace id, its caller's or a new one, so that its log entries can tell it."""
        context = self._api.get_current_span(self._parent(headers)).get_span_context()
        logs.trace_id.set(f"{context.trace_id:032x}" if context.is_valid else _new_trace_id())

    def record(
        self,
        route: str,
        method: str,
        status: int,
        headers: list[tuple[bytes, bytes]],
        started_ns: int,
        ended_ns: int,
        stages: dict[str, tuple[int, int]],
        attributes: dict[str, Any],
    ) -> None:
        """Make the spans of one answered request, in the trace that `begin` told.

        Args:
            route: template of the path; `other` where there is none.
            method: of HTTP; `other` for one that the route doesn't take.
            status: of the answer.
            headers: the request's; W3C `traceparent` names the span's parent.
            started_ns, ended_ns: wall-clock time in nanoseconds since 1970.
            stages: begin and end of each, the same way; each becomes a child.
            attributes: further ones.
        """
        other = method == "other"
        known: dict[str, str | int] = {
            self._http.HTTP_REQUEST_METHOD: self._http.HttpRequestMethodValues.OTHER.value if other else method,
            self._http.HTTP_RESPONSE_STATUS_CODE: status,
            self._url.URL_SCHEME: "http",
        }
        if route != "other":
            known[self._http.HTTP_ROUTE] = route
        if status >= 500:
            known[self._error.ERROR_TYPE] = str(status)
        name = " ".join(["HTTP" if other else method] + ([] if route == "other" else [route]))
        kind = self._api.SpanKind.SERVER
        span = self._tracer.start_span(
            name, self._parent(headers), kind, {**known, **attributes}, start_time=started_ns
        )
        if span.is_recording():
            context = self._api.set_span_in_context(span, self._no_context)
            for stage, (began, ended) in stages.items():
                self._tracer.start_span(stage, context, start_time=began).end(ended)
            if status >= 500:
                span.set_status(self._api.StatusCode.ERROR)
            span.end(ended_ns)

    def _parent(self, headers: list[tuple[bytes, bytes]]) -> Context:
        carrier = {
            name.decode(): value.decode("latin-1") for name, value in headers if name in (b"traceparent", b"tracestate")
        }
        return self._propagator.extract(carrier, self._no_context) if carrier else self._no_context

    def stop(self) -> None:
        """Send what is left; gives up after 3 s."""
        # The SDK's own way waits up to 30 s, and knows no other.
        flush = threading.Thread(target=self._provider.shutdown, name="flush-traces", daemon=True)
        flush.start()
        flush.join(_STOP_SECONDS)


def _new_trace_id() -> str:
    return f"{random.getrandbits(128) or 1:032x}"


def _reporting(exporter: SpanExporter, collector: str) -> SpanExporter:
    """Wrap an exporter so that the log tells, once each time, that spans are lost and that they are sent again."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Reporting(SpanExporter):
        reachable = True

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            result = exporter.export(spans)
            reachable = result is SpanExportResult.SUCCESS
            if reachable != self.reachable:
                self.reachable = reachable
                if reachable:
                    logger.info("traces are sent again")
                else:
                    logger.warning("traces can't be sent to %s; they are dropped until it takes them", collector)
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

    return Reporting()
