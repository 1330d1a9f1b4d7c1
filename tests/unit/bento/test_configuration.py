"""BentoML's own configuration: what of it the service refuses to follow by half."""

from __future__ import annotations

from typing import Any

import pytest

from bento.configuration import refused

OWN = {"workers": 1, "traffic": {"timeout": 60}, "http": {"port": 3000, "cors": {"enabled": False}}, "ssl": {}}


@pytest.mark.parametrize(
    ("changed", "entry"),
    [
        ({}, None),
        ({"http": {"port": 80, "host": "::1"}, "ssl": {"enabled": True}, "backlog": 64}, None),
        ({"workers": 3}, "workers: 3"),
        ({"http": {"cors": {"enabled": True}}}, "http.cors.enabled: True"),
        ({"traffic": {"max_concurrency": 5}}, "traffic.max_concurrency: 5"),
        ({"threads": 4}, "threads: 4"),
    ],
)
def test_an_entry_without_its_full_effect_is_named(changed: dict[str, Any], entry: str | None) -> None:
    """Configuration that is followed by half is refused: each worker would have limits and metrics of its own."""
    assert refused(OWN | changed, OWN) == entry
