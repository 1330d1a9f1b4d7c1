"""Names, labels and annotations of all objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from k8s.jobs.job import Training, manifest
from tests.chart.conftest import template
from tests.chart.manifests import NAME
from tests.chart.switches import SWITCHES

EVERYTHING = {
    "canary.enabled": True,
    "shadow.enabled": True,
    "httpRoute.enabled": True,
    "httpRoute.parentRefs": [{"name": "g"}],
    "networkPolicy.gatewayNamespaces": ["g"],
    "ingress.enabled": True,
    "autoscaling.enabled": True,
    "serviceMonitor.enabled": True,
    "prometheusRule.enabled": True,
    "dashboard.enabled": True,
}


def test_every_object_has_the_standard_labels() -> None:
    for item in template(EVERYTHING).objects:
        labels = item["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "web", item
        assert labels["app.kubernetes.io/name"].startswith("image-classifier"), item
        assert labels["app.kubernetes.io/managed-by"] == "Helm", item
        assert labels["app.kubernetes.io/part-of"] == "image-classifier", item
        assert {"app.kubernetes.io/version", "helm.sh/chart"} <= labels.keys(), item


@pytest.mark.parametrize("component", ["server", "canary", "shadow"])
def test_pods_are_labelled_with_their_component(component: str) -> None:
    name = NAME if component == "server" else f"{NAME}-{component}"
    labels = template(EVERYTHING).pod(name)["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == component


@pytest.mark.parametrize("switch", SWITCHES)
def test_no_selector_of_a_release_matches_the_pods_of_a_job_with_the_same_name(switch: str) -> None:
    """Kind: a pod that isn't the service's gets its requests, its policy or a place in its disruption budget."""
    training = Training("web", "t:1", "store", (), workers=2)
    labels = manifest(training)["spec"]["template"]["metadata"]["labels"]
    found = [each for item in template(SWITCHES[switch]).objects for each in _selectors(item.get("spec"))]
    assert found
    assert [each for each in found if _matches(each, labels)] == []


def _selectors(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every label selector in an object."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else []):
        # An empty one is that of a policy's peers: every pod of the namespace.
        if key in ("selector", "podSelector", "labelSelector") and inner:
            yield inner if {"matchLabels", "matchExpressions"} & inner.keys() else {"matchLabels": inner}
        else:
            yield from _selectors(inner)


def _matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    within = [labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", [])]
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(within)


def test_pods_are_labelled_with_their_version() -> None:
    release = template(EVERYTHING | {"image.tag": "1.0", "canary.image": {"tag": "1.1"}})
    versions = [
        release.pod(name)["metadata"]["labels"]["app.kubernetes.io/version"] for name in (NAME, f"{NAME}-canary")
    ]
    assert versions == ["1.0", "1.1"]


@pytest.mark.parametrize(
    ("tag", "label"),
    [("a" * 62 + "-x", "a" * 62), ("a" * 61 + "._x", "a" * 61), ("_1.0", "1.0"), ("v1.0-rc.1", "v1.0-rc.1")],
)
def test_a_tag_is_cut_to_a_valid_label(tag: str, label: str) -> None:
    pod = template({"image.tag": tag}).pod()["metadata"]["labels"]
    assert pod["app.kubernetes.io/version"] == label


def test_common_labels_and_annotations_are_everywhere_but_do_not_change_the_selector() -> None:
    mine = {"commonLabels": {"team": "vision", "app.kubernetes.io/name": "other"}, "commonAnnotations": {"cost": "7"}}
    release = template(EVERYTHING | mine)
    for item in release.objects:
        assert item["metadata"]["labels"]["team"] == "vision", item
        assert item["metadata"]["annotations"]["cost"] == "7", item
    pod = release.pod()["metadata"]
    assert (pod["labels"]["team"], pod["annotations"]["cost"]) == ("vision", "7")
    assert pod["labels"]["app.kubernetes.io/name"] == "image-classifier"


def test_every_selector_matches_only_its_own_pods() -> None:
    release = template(EVERYTHING | {"podLabels": {"a": "b"}})
    pods = {name: release.pod(name)["metadata"]["labels"] for name in (NAME, f"{NAME}-canary", f"{NAME}-shadow")}
    pods["test"] = release.get("Pod", f"{NAME}-test")["metadata"]["labels"]

    # A Job of `python -m k8s train` may have the name of the release.
    pods["job"] = pods[NAME] | {"app.kubernetes.io/component": "training"}

    def selected(selector: dict[str, str], expressions: list[dict[str, Any]] | None = None) -> set[str]:
        found = {name for name, labels in pods.items() if selector.items() <= labels.items()}
        for rule in expressions or []:
            assert rule["operator"] == "In"
            found = {name for name in found if pods[name][rule["key"]] in rule["values"]}
        return found

    for name in (NAME, f"{NAME}-canary", f"{NAME}-shadow"):
        assert selected(release.spec("Deployment", name)["selector"]["matchLabels"]) == {name}
        assert selected(release.spec("Service", name)["selector"]) == {name}
    servers = {NAME, f"{NAME}-canary", f"{NAME}-shadow"}
    assert selected(release.spec("Service", f"{NAME}-headless")["selector"]) >= servers
    selector = release.spec("NetworkPolicy")["podSelector"]
    assert selected(selector["matchLabels"], selector["matchExpressions"]) == servers
    assert selected(release.spec("PodDisruptionBudget")["selector"]["matchLabels"]) == {NAME}


def test_a_release_named_after_the_chart_does_not_repeat_the_name() -> None:
    assert template(release="my-image-classifier").get("Deployment", "my-image-classifier")


def test_names_can_be_replaced() -> None:
    assert template({"nameOverride": "birds"}).get("Deployment", "web-birds")
    assert template({"fullnameOverride": "birds"}).get("Service", "birds-headless")


def test_a_numeric_release_name_stays_a_string() -> None:
    rules = template({"prometheusRule.enabled": True, "fullnameOverride": "bond"}, release="007")
    assert rules.pod("bond")["metadata"]["labels"]["app.kubernetes.io/instance"] == "007"
    groups = rules.spec("PrometheusRule", "bond")["groups"]
    assert {rule["labels"]["release"] for group in groups for rule in group["rules"]} == {"007"}


def test_the_longest_release_name_leaves_room_for_suffixes() -> None:
    release = template(EVERYTHING, release="r" * 53)
    assert max(len(item["metadata"]["name"]) for item in release.objects) <= 63
