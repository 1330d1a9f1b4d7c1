"""Apply PATCH requests: JSON merge patches, and the strategic ones that Helm 3 sends for built-in kinds."""

from __future__ import annotations

from typing import Any

from tests.kubeapi.objects import Json

_KEYS = ("name", "mountPath", "containerPort", "port", "topologyKey", "ip")
"""Keys by which a strategic patch identifies an element of a list. The first one present counts."""


def merged(old: Any, patch: Any, *, strategic: bool = False) -> Any:
    """Return `old` with a patch applied (RFC 7396). A strategic patch merges lists of objects too."""
    if strategic and isinstance(old, list) and isinstance(patch, list) and all(map(_key, [*old, *patch])):
        return _elements(old, patch)
    if not isinstance(old, dict) or not isinstance(patch, dict):
        return patch
    result = dict(old)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif not key.startswith("$"):  # directives about order, which don't matter here
            result[key] = merged(old.get(key), value, strategic=strategic)
    return result


def _elements(old: list[Json], patch: list[Json]) -> list[Json]:
    result = {_key(element): element for element in old}
    for element in patch:
        if element.get("$patch") == "delete":
            result.pop(_key(element), None)
        else:
            result[_key(element)] = merged(result.get(_key(element)), element, strategic=True)
    return list(result.values())


def _key(element: Any) -> Any:
    return next(((key, element[key]) for key in _KEYS if key in element), None) if isinstance(element, dict) else None
