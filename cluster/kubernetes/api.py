"""Ask the API server whether it is ready."""

from __future__ import annotations

import ssl
import urllib.request

from cluster.settings import Settings


def ready(settings: Settings) -> bool:
    authority = ssl.create_default_context(cafile=str(settings.certificates / "ca.crt"))
    try:
        with urllib.request.urlopen(f"{settings.api}/readyz", timeout=1, context=authority):
            return True
    except OSError:
        return False
