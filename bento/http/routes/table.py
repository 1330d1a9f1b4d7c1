"""The table of all routes.

Dispatch and `Allow` (`router`), which requests need a key, which the connection refuses early (`bento.http.gate`),
the OpenAPI document (`openapi`) with the page at /docs, and the table in docs/service.md (`reference`) are all made
from it.
"""

from __future__ import annotations

from bento.http.routes import browsers, images, management, v2
from bento.http.routes.route import Route
from bento.settings import Settings

TAGS = {
    "classify": "Encoded images in, classes out.",
    "open inference": "Open Inference Protocol v2: tensors in, probabilities out.",
    "health": "For orchestrators and monitoring.",
    "about": "What is running, and how to use it.",
}

MANAGEMENT = management.ROUTES
"""The routes that move to the management port if there is one."""

ROUTES = (*images.ROUTES, *v2.ROUTES, *MANAGEMENT, *browsers.DOCS, *browsers.PAGE)
"""Every route of the service. The files that the pages load are served too, and are in no table."""

OPTIONAL = {"docs": browsers.DOCS, "page": browsers.PAGE, "v2": v2.ROUTES}
"""The routes that DISABLED_ROUTES can switch off, by the name of their group."""


def main_routes(settings: Settings) -> tuple[Route, ...]:
    """Return the routes of the main port."""
    absent = {route.path for name in settings.disabled_groups for route in OPTIONAL[name]}
    if settings.management_port is not None:
        absent |= {route.path for route in MANAGEMENT}
    return tuple(route for route in ROUTES if route.path not in absent)
