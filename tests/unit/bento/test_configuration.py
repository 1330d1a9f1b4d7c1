"""BentoML's own configuration: what of it the service refuses to follow by half."""

from __future__ import annotations

from typing import Any

import pytest

from bento.configuration import refused

OWN = {"workers": 1, "traffic": {"timeout": 60}, "http": {"port": 3000, "cors": {"enabled": False}}, "ssl": {}}


@pytest.mark.parametrize(
    ("changed", "entry", "instead"),
    [
        ({}, None, ""),
        ({"http": {"port": 80, "host": "::1"}, "ssl": {"enabled": True}, "backlog": 64}, None, ""),
        ({"workers": 3}, "workers: 3", "add pods"),
        ({"http": {"cors": {"enabled": True}}}, "http.cors.enabled: True", "set CORS_ORIGINS"),
        ({"logging": {"access": {"enabled": True}}}, "logging.access.enabled: True", "set LOG_LEVEL and LOG_FORMAT"),
        ({"traffic": {"max_concurrency": 5}}, "traffic.max_concurrency: 5", "see docs/settings.md"),
        ({"threads": 4}, "threads: 4", "see docs/settings.md"),
    ],
)
def test_an_entry_without_its_full_effect_is_named_with_what_to_do_instead(
    changed: dict[str, Any], entry: str | None, instead: str
) -> None:
    """Configuration that is followed by half is refused: each worker would have limits and metrics of its own."""
    line = f"{entry}, which this service doesn't follow; {instead}" if entry else None
    assert refused(OWN | changed, OWN) == line
