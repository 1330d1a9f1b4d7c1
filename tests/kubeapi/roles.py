"""The permissions of a Role in k8s/rbac.yaml, as (verb, group, resource)."""

from __future__ import annotations

from pathlib import Path

import yaml

Permission = tuple[str, str, str]


def permissions(role: str) -> set[Permission]:
    """Return the permissions of a Role."""
    found = next(r for r in yaml.safe_load_all(Path("k8s/rbac.yaml").read_text()) if r["metadata"]["name"] == role)
    return {
        (verb, group, resource)
        for rule in found["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
