"""The table of all routes.

Dispatch and `Allow` (`router`), which requests need a key, which the connection refuses early (`bento.http.gate`),
the OpenAPI document (`openapi`) with the page at /docs, and the table in docs/service.md (`reference`) are all made
from it.
"""

from __future__ import annotations

from bento.http.routes import browsers, images, management, v2

TAGS = {
    "classify": "Encoded images in, classes out.",
    "open inference": "Open Inference Protocol v2: tensors in, probabilities out.",
    "health": "For orchestrators and monitoring.",
    "about": "What is running, and how to use it.",
}

ROUTES = (*images.ROUTES, *v2.ROUTES, *management.ROUTES, *browsers.ROUTES)
"""Every route of the service. The files that the pages load are served too, and are in no table."""
