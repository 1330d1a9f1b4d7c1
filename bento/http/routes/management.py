"""The routes for orchestrators and monitoring: health, metrics, what is running."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bento.http.handlers.probes import Probes
from bento.http.routes.route import JSON, LOADING, MARKDOWN, TEXT, Route
from bento.http.schemas import Version

_PROBE: Mapping[str, Any] = {"tag": "health", "answers": {TEXT: str}}

ROUTES = (
    Route(
        "GET",
        "/livez",
        Probes.livez,
        operation="livez",
        summary="Report whether the service is live",
        description="It is live while the process answers and no call of the model hangs.",
        answer="The service is live.",
        errors=("not_live",),
        **_PROBE,
    ),
    Route(
        "GET",
        "/healthz",
        Probes.livez,
        operation="healthz",
        summary="Report whether the service is live",
        description="This is the older name of `/livez`.",
        answer="The service is live.",
        errors=("not_live",),
        **_PROBE,
    ),
    Route(
        "GET",
        "/readyz",
        Probes.readyz,
        operation="readyz",
        summary="Report whether the service is ready",
        description="It is ready from the end of the warm-up until SIGTERM, except while a call of the model hangs.",
        answer="The service is ready.",
        errors=("not_live", *LOADING),
        **_PROBE,
    ),
    Route(
        "GET",
        "/metrics",
        Probes.metrics,
        operation="metrics",
        summary="Return the metrics in the Prometheus text format",
        answer="The metrics.",
        **_PROBE,
    ),
    Route(
        "GET",
        "/version",
        Probes.version,
        operation="version",
        tag="about",
        summary="Report what is running",
        description="The answer has the model's tag, digest and classes, and the versions that answers depend on. "
        "`Accept: text/markdown` asks for the model's card instead.",
        answers={JSON: Version, MARKDOWN: str},
        answer="The model and the libraries, or the model's card.",
        errors=("no_card", *LOADING),
    ),
)
