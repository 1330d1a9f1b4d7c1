"""The values of a release with a canary: what `canary`, `promote` and `abort` make of them."""

from __future__ import annotations

from k8s.cluster import Json
from k8s.errors import K8sError
from k8s.helm import Helm, overlaid

PARTS = ("image", "model")
"""The sections of `canary` that say what it runs; those of the same name at the top say what the stable one does."""


def promoted(values: Json) -> Json:
    """Return values with the canary's image and model as the stable ones, merged as the chart merges them."""
    result = dict(values)
    for part in PARTS:
        own = _filled(values.get("canary", {}).get(part) or {})
        # A tag of its own isn't overruled by the stable version's digest.
        stable = values.get(part, {}) | ({"digest": ""} if "tag" in own else {})
        if own:
            result[part] = overlaid(stable, own)
    return result


def _filled(section: Json) -> Json:
    """Return a section without what is empty, which the chart takes as left out."""
    inner = {key: _filled(value) if isinstance(value, dict) else value for key, value in section.items()}
    return {key: value for key, value in inner.items() if value not in ("", None, {})}


def without_canary(values: Json) -> Json:
    """Return a release's values with the canary off, and nothing left of what it ran."""
    kept = {
        key: value for key, value in values.get("canary", {}).items() if key not in {*PARTS, "weight", "replicaCount"}
    }
    return values | {"canary": kept | {"enabled": False}}


def same_chart(helm: Helm, chart: str, revision: Json) -> None:
    """Make sure that a change of weights isn't a change of the chart.

    Raises:
        K8sError: the release was made by another.
    """
    given = helm.chart(chart)
    if given != revision["chart"]:
        raise K8sError(f"the release runs chart {revision['chart']}, {chart} is {given}; pass the same with --chart")
