"""Which client has set each field of an object, and the conflicts of server-side apply that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.kubeapi.objects import Json


class Ownership:
    """The owner of each field, by object. A list is one field."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, str], dict[str, str]] = {}

    def applied(self, resource: str, old: Json | None, new: Json, manager: str, *, force: bool) -> str:
        """Record an apply and return an empty string, or record nothing and return the API server's refusal."""
        owners = self._owners.setdefault((resource, new["metadata"]["name"]), {})
        if old is None:
            owners.clear()
        before, after = dict(_fields(old or {})), dict(_fields(new))
        taken = [path for path, value in after.items() if before.get(path) != value]
        conflicts = [
            f'conflict with "{owners[path]}": {path}' for path in taken if owners.get(path, manager) != manager
        ]
        if conflicts and not force:
            return f"Apply failed with {len(conflicts)} conflict{'s' * (len(conflicts) > 1)}: {'; '.join(conflicts)}"
        owners |= dict.fromkeys(after, manager)
        return ""

    def written(self, resource: str, old: Json, new: Json, manager: str) -> None:
        """Record a write that isn't an apply: the fields that it changes are its own."""
        before = dict(_fields(old))
        changed = [path for path, value in _fields(new) if before.get(path) != value]
        self._owners.setdefault((resource, new["metadata"]["name"]), {}).update(dict.fromkeys(changed, manager))


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield path, value
        return
    for key, inner in value.items():
        if path or key in ("spec", "data"):
            yield from _fields(inner, f"{path}.{key}")
