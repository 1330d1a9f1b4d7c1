"""Find what a candidate's pod needs around it: the release's own service account and extra objects.

An object that the release has already is used. A new one belongs to the candidate, goes with it, and is then the
release's, so it never has two owners.
"""

from __future__ import annotations

import json

from k8s.cluster import Json
from k8s.releases.helm import Helm, objects

_KINDS = {
    "ConfigMap",
    "ExternalSecret",
    "ResourceClaimTemplate",
    "Role",
    "RoleBinding",
    "SealedSecret",
    "Secret",
    "SecretProviderClass",
    "ServiceAccount",
}
"""Kinds of extra objects that a pod can need to start and that can be made and deleted within a minute.

A PersistentVolumeClaim is deleted only after its pod, so an empty folder stands in for a new one, which would be empty
too. Routes or alerts would reach users.
"""


def of_candidate(helm: Helm, name: str, chart: str, values: Json) -> Json:
    """Return the values by which the candidate of a release has what its pod needs.

    Args:
        values: those of a release that has no route, autoscaler or alert.

    Raises:
        K8sError: the chart can't be rendered.
    """
    rendered = objects(helm.template(name, chart, values, []))
    there = {_id(each) for _, each in objects(helm.manifest(name))}
    new = [(source, each) for source, each in rendered if _id(each) not in there]
    (account,) = {
        each["spec"]["template"]["spec"]["serviceAccountName"]
        for source, each in rendered
        if source.endswith("/templates/deployment.yaml")
    }
    created = any(source.endswith("/templates/serviceaccount.yaml") for source, _ in new)
    extra = [_literal(each) for source, each in new if source.endswith("/extra.yaml") and each["kind"] in _KINDS]
    claims = {each["metadata"]["name"] for _, each in new if each["kind"] == "PersistentVolumeClaim"}
    volumes = [_without_claim(volume, claims) for volume in values.get("extraVolumes") or []]
    return {
        "serviceAccount": {"create": created, "name": account},
        "extraObjects": extra,
        "extraVolumes": volumes,
    }


def _id(each: Json) -> tuple[str, str]:
    return each["kind"], each["metadata"]["name"]


def _without_claim(volume: Json, claims: set[str]) -> Json:
    """Return a volume, or an empty folder if it's one of the new `claims`."""
    new = volume.get("persistentVolumeClaim", {}).get("claimName") in claims
    return {"name": volume["name"], "emptyDir": {}} if new else volume


def _literal(each: Json) -> str:
    """Return an object as the text of an extra object, in which the chart finds nothing to render again."""
    notes = each["metadata"].get("annotations") or {}
    # Helm would leave such an object behind, and the release couldn't create it.
    kept = {key: value for key, value in notes.items() if key != "helm.sh/resource-policy"}
    own = each | {"metadata": each["metadata"] | {"annotations": kept}}
    return json.dumps(own).replace("{{", "{{`{{`}}")
