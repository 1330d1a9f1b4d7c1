"""Each verb works with the Role that k8s/rbac.yaml has for it, and names the permission that is missing."""

from __future__ import annotations

import pytest

from tests.integration.k8s.conftest import Run
from tests.kubeapi.pods import Fate
from tests.kubeapi.roles import Permission, permissions
from tests.kubeapi.server import KubeApi

EVERYTHING = (
    "--set=httpRoute.enabled=true",
    "--set=httpRoute.parentRefs[0].name=gateway",
    "--set=ingress.enabled=true",
    "--set=networkPolicy.gatewayNamespaces[0]=gateways",
    "--set=autoscaling.enabled=true",
    "--set=dashboard.enabled=true",
)
NOT_IN_THE_STUB = {"monitoring.coreos.com", "keda.sh"}


def test_the_release_role_is_sufficient_and_minimal(release: Run, k8s: Run, api: KubeApi) -> None:
    allowed = permissions("image-classifier-release")
    api.allowed = lambda *permission: permission in allowed
    assert release("1", *EVERYTHING).code == 0
    assert release("crash").code == 3
    api.fates["reg.local/ic:big"] = Fate("unschedulable")
    assert release("big", "--node-timeout", "1s").code == 3
    assert release("2", "--set=ingress.enabled=false", "--set=dashboard.enabled=false").code == 0
    assert k8s("canary", "demo", "--weight", "20", "--image", "reg.local/ic:3", "--slo", "none").code == 0
    assert k8s("promote", "demo").code == 0
    assert k8s("abort", "demo").code == 0
    assert k8s("rollback", "demo").code == 0
    needed = {permission for permission in allowed if permission[1] not in NOT_IN_THE_STUB}
    # The cluster's version decides whether `get` or `create` opens a tunnel.
    needed -= {("create", "", "pods/exec"), ("create", "", "pods/portforward")}
    # The stub creates an applied object without a check; a real API server requires `create`.
    unseen = needed - set(api.asked)
    assert {verb for verb, _, _ in unseen} <= {"create", "delete"}, unseen


def test_the_status_role_is_sufficient_and_reads_no_secret(release: Run, k8s: Run, api: KubeApi) -> None:
    """A Secret may hold keys and passwords of others, so a Role to look at a release mustn't list them."""
    assert release("1", "--set=replicaCount=3").code == 0
    assert k8s("canary", "demo", "--weight", "25", "--image", "reg.local/ic:2", "--slo", "none").code == 0
    allowed, api.asked = permissions("image-classifier-status"), []
    api.allowed = lambda *permission: permission in allowed
    done = k8s("status", "demo", "--interval", "0.1")
    assert done.code == 0
    assert "image_classifier:abcdefgh" in done.out
    assert "canary: 1 of 1 ready, 1 updated, 25% of the requests" in done.out
    assert not {resource for _, _, resource in allowed} & {"secrets", "configmaps"}
    assert allowed - set(api.asked) == {("create", "", "pods/portforward")}


@pytest.mark.parametrize(
    ("permission", "named"),
    [
        (("create", "coordination.k8s.io", "leases"), "create leases.coordination.k8s.io"),
        (("list", "", "secrets"), "list secrets"),
        (("list", "apps", "deployments"), "list deployments.apps"),
        (("patch", "apps", "deployments"), "patch deployments.apps"),
        (("get", "", "pods/portforward"), "get pods/portforward"),
        (("get", "", "pods/exec"), "get pods/exec"),
    ],
)
def test_a_missing_permission_is_named(release: Run, api: KubeApi, permission: Permission, named: str) -> None:
    allowed = permissions("image-classifier-release") - {permission}
    api.allowed = lambda *asked: asked in allowed
    done = release("1")
    assert done.code == 5
    who = "system:serviceaccount:default:releaser has no permission to"
    assert f"{who} {named} in namespace default; see docs/kubernetes.md" in done.error


def test_the_permission_to_get_the_namespace_is_not_needed(release: Run, api: KubeApi) -> None:
    allowed = permissions("image-classifier-release") - {("get", "", "namespaces")}
    api.allowed = lambda *permission: permission in allowed
    assert release("1").code == 0
