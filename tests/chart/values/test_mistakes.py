"""Values that would fail after Helm has sent them: each is refused before, with its path and advice."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.conftest import ChartError, Values, refusal, template

REPOSITORY = ["is not the name of an image", "image.tag and image.digest"]
HOST = ["is not a host name", "without https://"]
QUANTITY = ["is not a quantity of Kubernetes", "512Mi"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image.repository": "reg/ic:1.0"}, ["image.repository", "reg/ic:1.0", *REPOSITORY]),
        ({"image.repository": "https://reg.example.com/ic"}, ["image.repository", *REPOSITORY]),
        ({"image.repository": "IC"}, ["image.repository", *REPOSITORY]),
        ({"canary.image": {"repository": "ic@sha256:1"}}, ["canary.image.repository", "canary.image.tag"]),
        ({"image.registry": "https://reg.example.com"}, ["image.registry", "HOST:PORT"]),
        ({"global.imageRegistry": "reg.example.com/"}, ["global.imageRegistry", "without"]),
        ({"image.tag": 1.1}, ["image.tag is the number 1.1", "in quotes", "--set-string"]),
        ({"shadow.image": {"tag": 7}}, ["shadow.image.tag is the number 7", "in quotes"]),
        ({"ingress.hosts": ["https://images.example.com"]}, ["ingress.hosts", *HOST]),
        ({"httpRoute.hostnames": ["images.example.com:80"]}, ["httpRoute.hostnames", *HOST]),
        ({"resources.limits": {"memory": "512MB"}}, ['resources.limits.memory "512MB"', *QUANTITY]),
        ({"resources.requests": {"cpu": "half"}}, ["resources.requests.cpu", *QUANTITY]),
        ({"resources.limits": {"memory": 512}}, ["resources.limits.memory 512", "in bytes", "512Mi"]),
        ({"resources.limits": {"ephemeral-storage": "2"}}, ["resources.limits.ephemeral-storage", "in bytes"]),
        ({"resources.requests": {"memory": "2Gi"}}, ["requests.memory (2Gi) is more than", "limits.memory (1Gi)"]),
        ({"resources.requests": {"cpu": 1.5}}, ["requests.cpu (1.5) is more than resources.limits.cpu (1)"]),
        ({"resources.limit": {"cpu": "1"}}, ["resources", "limit", "not allowed"]),
        ({"rollout.maxSurge": "0%"}, ["rollout.maxSurge and rollout.maxUnavailable are both 0"]),
        ({"rollout.maxSurge": "one"}, ["rollout", "maxSurge", "pattern"]),
        ({"pdb.maxUnavailable": "half"}, ["pdb", "maxUnavailable", "pattern"]),
        ({"podSecurityContext.runAsUser": "1000"}, ["podSecurityContext", "runAsUser", "integer"]),
        ({"securityContext.privileged": "no"}, ["securityContext", "privileged", "boolean"]),
        ({"extraEnv": [{"name": "A", "value": 1}]}, ["extraEnv", "value", "string"]),
        ({"commonLabels": {"a": "b c"}}, ["commonLabels", "pattern"]),
        ({"apiKeys.existingSecret": "My Keys"}, ["apiKeys", "existingSecret", "pattern"]),
        ({"networkPolicy.gatewayNamespaces": ["a.b"]}, ["gatewayNamespaces", "pattern"]),
        ({"keda.threshold": "1.2.3"}, ["keda", "threshold", "pattern"]),
        ({"resources": None}, ["resources"]),
        ({"probes": None}, ["probes"]),
        ({"probes.startup": None}, ["probes", "startup"]),
        ({"settings": None}, ["settings"]),
        ({"networkPolicy.gatewayNamespaces": None}, ["networkPolicy", "gatewayNamespaces"]),
    ],
)
def test_a_value_that_would_fail_later_is_refused_before_anything_is_sent(values: Values, words: list[str]) -> None:
    message = refusal(values)
    assert [word for word in words if word not in message] == [], message
    # A trace of templates names no value that a user could mend.
    assert "executing" not in message


@pytest.mark.parametrize(
    "values",
    [
        {"image.repository": "reg.example.com:5000/team/image_classifier", "image.tag": "1.10"},
        {"image.registry": "reg.example.com:5000/team", "ingress.hosts": ["*.example.com"]},
        {"resources.limits": {"cpu": 2, "memory": 3_000_000_000, "ephemeral-storage": "1e10"}},
        {"resources.requests": {"cpu": None}, "resources.limits": {"cpu": None}},
        {"rollout.maxSurge": "25%", "pdb.maxUnavailable": "50%"},
    ],
)
def test_every_way_to_write_a_right_value_is_accepted(values: dict[str, Any]) -> None:
    assert template(values)


def test_a_name_that_no_service_can_have_is_refused() -> None:
    for release in ("my.app", "007"):
        with pytest.raises(ChartError, match=r"cannot be that of a Service.*set fullnameOverride"):
            template(release=release)
        assert template({"fullnameOverride": "app"}, release=release).get("Service", "app")


def test_a_value_of_null_removes_a_default_of_kubernetes_own_structures_only() -> None:
    assert "capabilities" not in template({"securityContext.capabilities": None}).server()["securityContext"]
    assert "pdb" in refusal({"pdb": None})
