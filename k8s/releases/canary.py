"""Compute the values of a release with a canary, for `canary`, `promote` and `abort`."""

from __future__ import annotations

from k8s.cluster import Json
from k8s.errors import K8sError
from k8s.releases.helm import Helm, overlaid

PARTS = ("image", "model")
"""Sections of `canary` that say what the canary runs. At the top, the same names say what the stable version runs."""


def promoted(values: Json) -> Json:
    """Return values whose stable image and model are the canary's, merged as the chart merges them."""
    result = dict(values)
    for part in PARTS:
        own = filled(values.get("canary", {}).get(part) or {})
        # The stable version's digest must not override a tag of the canary's own.
        stable = values.get(part, {}) | ({"digest": ""} if "tag" in own else {})
        if own:
            result[part] = overlaid(stable, own)
    return result


def filled(section: Json) -> Json:
    """Return a section without empty values, which the chart treats as unset."""
    inner = {key: filled(value) if isinstance(value, dict) else value for key, value in section.items()}
    return {key: value for key, value in inner.items() if value not in ("", None, {})}


def without_canary(values: Json) -> Json:
    """Return values with the canary off and without what the canary ran."""
    kept = {
        key: value for key, value in values.get("canary", {}).items() if key not in {*PARTS, "weight", "replicaCount"}
    }
    return values | {"canary": kept | {"enabled": False}}


def same_chart(helm: Helm, chart: str, revision: Json) -> None:
    """Check that `chart` is the chart of the release, so that a change of weights doesn't change the chart.

    Raises:
        K8sError: the release runs another chart.
    """
    given = helm.chart(chart)
    if given != revision["chart"]:
        raise K8sError(
            f"the release runs chart {revision['chart']}, but {chart} is {given}; pass the release's chart with --chart"
        )
