"""Which clients have set each field of an object, and so what server-side apply refuses and what it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.kubeapi.objects import Json

Path = tuple[str, ...]


class Ownership:
    """The owners of each field, by object. A list is one field."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, str], dict[Path, set[str]]] = {}

    def applied(self, resource: str, old: Json | None, new: Json, manager: str, *, force: bool) -> str:
        """Record an apply and return an empty string, or record nothing and return the API server's refusal.

        Fields that `new` leaves out, but which somebody else owns too, are added to it.
        """
        owners = self._owners.setdefault((resource, new["metadata"]["name"]), {})
        if old is None:
            owners.clear()
        before, after = dict(_fields(old or {})), dict(_fields(new))
        taken = {path for path, value in after.items() if before.get(path) != value}
        others = {path: sorted(owners.get(path, set()) - {manager}) for path in taken}
        conflicts = [f'conflict with "{names[0]}": .{".".join(path)}' for path, names in others.items() if names]
        if conflicts and not force:
            return f"Apply failed with {len(conflicts)} conflict{'s' * (len(conflicts) > 1)}: {'; '.join(conflicts)}"
        for path in after:
            owners[path] = {manager} if path in taken else owners.get(path, set()) | {manager}
        for path in owners.keys() - after.keys():
            owners[path].discard(manager)
            if owners[path] and path in before:
                _set(new, path, before[path])
        return ""

    def written(self, resource: str, old: Json, new: Json, manager: str) -> None:
        """Record a write that isn't an apply: the fields that it changes are its own."""
        before = dict(_fields(old))
        changed = [path for path, value in _fields(new) if before.get(path) != value]
        self._owners.setdefault((resource, new["metadata"]["name"]), {}).update({path: {manager} for path in changed})


def _fields(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if not isinstance(value, dict):
        yield path, value
        return
    for key, inner in value.items():
        if path or key in ("spec", "data"):
            yield from _fields(inner, (*path, key))


def _set(value: Json, path: Path, to: Any) -> None:
    for key in path[:-1]:
        value = value.setdefault(key, {})
    value[path[-1]] = to
