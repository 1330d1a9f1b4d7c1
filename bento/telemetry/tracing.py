"""Send OpenTelemetry traces. Spans are made after the answer; without a collector, OpenTelemetry isn't imported.

OpenTelemetry's own variables configure it (OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_BSP_*, ...).
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
    """Return the tracer, or None if no collector is configured or tracing is switched off."""
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    if endpoint is None or off:
        return None
    protocol = next((os.environ[name] for name in _PROTOCOLS if os.environ.get(name)), _PROTOCOL)
    if protocol != _PROTOCOL:
        logger.warning("traces are sent by %s, because %s is not supported", _PROTOCOL, protocol)
    try:
        # The URL may carry a password, which is left out.
        return Tracer(endpoint.rpartition("@")[2])
    except ValueError as error:
        # A wrong value in OpenTelemetry's variables must not keep the service from running.
        logger.error("no traces: %s", error)
        return None


class Tracer:
    """Make spans of answered requests and send them from a separate thread.

    If the collector can't be reached, spans are lost but no request fails: the queue is bounded. The log reports each
    change between reachable and unreachable once.

    Args:
        collector: name of the collector in the log. The environment sets its address.

    Raises:
        ValueError: one of OpenTelemetry's variables has an invalid value.
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
                # The log may already contain this id.
                return int(logs.trace_id.get() or _new_trace_id(), 16)

        # These log a line for each attempt, each dropped span, and each of the hundreds of members that a client may
        # put into an invalid `tracestate`. `_reporting` logs what matters.
        for noisy in ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal", "opentelemetry.trace"):
            logging.getLogger(noisy).setLevel(logging.CRITICAL)
        resource = Resource.create({SERVICE_VERSION: VERSION})
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: "image_classifier"}))
        self._api = trace
        self._http, self._url, self._error = http_attributes, url_attributes, error_attributes
        self._no_context = Context()
        self._propagator = TraceContextTextMapPropagator()
        # Not set as the process's global provider, to which BentoML would send its own spans.
        self._provider = TracerProvider(resource=resource, id_generator=IdGenerator(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_reporting(OTLPSpanExporter(), collector)))
        self._tracer = self._provider.get_tracer("image_classifier", VERSION)

    def begin(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Set the trace id of the current request, its caller's or a new one, for its log entries."""
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
        """Make the spans of one answered request, in the trace that `begin` set.

        Args:
            route: template of the path; `other` for an unknown path.
            method: HTTP method; `other` for one that the route doesn't allow.
            status: status code of the answer.
            headers: headers of the request; W3C `traceparent` names the parent span.
            started_ns, ended_ns: wall-clock time in nanoseconds since 1970.
            stages: begin and end of each stage, in the same unit; each becomes a child span.
            attributes: further attributes of the span.
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
        """Send the remaining spans, and give up after 3 s."""
        # The SDK's shutdown waits up to 30 s, which can't be configured.
        flush = threading.Thread(target=self._provider.shutdown, name="flush-traces", daemon=True)
        flush.start()
        flush.join(_STOP_SECONDS)


def _new_trace_id() -> str:
    return f"{random.getrandbits(128) or 1:032x}"


def _reporting(exporter: SpanExporter, collector: str) -> SpanExporter:
    """Wrap an exporter so that the log reports once when spans are lost and once when they are sent again."""
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
                    logger.warning("traces can't be sent to %s and are dropped until it answers again", collector)
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

    return Reporting()
