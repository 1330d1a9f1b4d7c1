"""Refuse what BentoML's own configuration asks of the service and doesn't get."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

VARIABLES = ("BENTOML_CONFIG", "BENTOML_CONFIG_OPTIONS", "BENTOML_CONFIG_OVERRIDES")
"""The variables by which BentoML is configured."""

_HONOURED = ("backlog", "http.host", "http.port", "resources", "ssl")
"""What `bentoml serve` follows in full."""
_INSTEAD = {"http.cors": "set CORS_ORIGINS", "logging": "set LOG_LEVEL and LOG_FORMAT", "workers": "add pods"}
"""What to do instead of some of the others."""


def refused(wanted: Mapping[str, Any], own: Mapping[str, Any]) -> str | None:
    """Return the first entry that differs from ours and has no effect, or half of it, and what to do; or None.

    Args:
        wanted: the configuration of the service as BentoML merged it.
        own: what it would be without the user's.
    """
    ours = dict(_leaves(own))
    for key, value in _leaves(wanted):
        if value != ours.get(key) and not any(_is_in(key, one) for one in _HONOURED):
            instead = next((advice for one, advice in _INSTEAD.items() if _is_in(key, one)), "see docs/settings.md")
            return f"{key}: {value}, which this service doesn't follow; {instead}"
    return None


def _is_in(key: str, one: str) -> bool:
    return key == one or key.startswith(f"{one}.")


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
