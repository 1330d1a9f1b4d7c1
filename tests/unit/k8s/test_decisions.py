"""Decisions that need no cluster: images, canary pods, revisions to roll back to, differing answers."""

from __future__ import annotations

from typing import Any

import pytest

from k8s.checks.golden import compare, tolerance
from k8s.errors import Forbidden, K8sError, NotFound, Unreachable
from k8s.images import digest_of, parse, pinned, unpinned
from k8s.options import duration
from k8s.releases.canary import promoted, without_canary
from k8s.releases.candidate import alone
from k8s.releases.change import good_revision
from k8s.releases.helm import explain, overlaid
from k8s.verbs.canary import canary_replicas
from k8s.verbs.rollback import earlier
from model_format.golden import GoldenImage

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("ic:1", {"repository": "ic", "tag": "1", "digest": ""}),
        ("team/ic:v1.2-rc_3", {"repository": "team/ic", "tag": "v1.2-rc_3", "digest": ""}),
        ("localhost:5000/ic:1", {"registry": "localhost:5000", "repository": "ic", "tag": "1", "digest": ""}),
        (f"reg.io/a/b@{DIGEST}", {"registry": "reg.io", "repository": "a/b", "tag": "", "digest": DIGEST}),
        (f"reg.io/ic:1@{DIGEST}", {"registry": "reg.io", "repository": "ic", "tag": "1", "digest": DIGEST}),
        ("ic:123", {"repository": "ic", "tag": "123", "digest": ""}),
    ],
)
def test_an_image_reference_is_split_into_its_parts(text: str, values: dict[str, str]) -> None:
    assert parse(text).values() == values
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "ic", "localhost:5000/ic", "ic:", "ic:a b", "ic@sha256:12", "https://reg.io/ic:1"]
)
def test_an_invalid_or_unversioned_image_reference_is_refused(text: str) -> None:
    with pytest.raises(K8sError, match="--image"):
        parse(text)


@pytest.mark.parametrize(
    ("image", "identity", "digest"),
    [
        ("reg.io/a/ic:1", f"reg.io/a/ic@{DIGEST}", DIGEST),
        ("ic:1", f"docker.io/library/ic@{DIGEST}", DIGEST),
        ("docker.io/a/ic:1", f"docker-pullable://a/ic@{DIGEST}", DIGEST),
        ("reg.io/ic:1", DIGEST, ""),
        ("ic:1", f"docker.io/library/import-2026-01-01@{DIGEST}", ""),
        ("reg.io/ic:1", "", ""),
    ],
)
def test_a_pod_shows_the_digest_of_an_image_that_a_registry_has(image: str, identity: str, digest: str) -> None:
    proxy = {"name": "proxy", "image": "envoy:1", "imageID": f"envoy@{DIGEST[:-1]}0"}
    server = {"name": "server", "image": image, "imageID": identity}
    assert digest_of([{"status": {"containerStatuses": [proxy, server]}}]) == digest


def test_only_a_tag_is_held_to_the_digest_that_was_proved_and_a_new_tag_is_not() -> None:
    tagged = {"repository": "ic", "tag": "1"}
    held = tagged | {"digest": DIGEST}
    assert pinned(tagged | {"digest": ""}, DIGEST) == held
    assert pinned(tagged, "") == tagged
    assert pinned({"repository": "ic"}, DIGEST) == {"repository": "ic"}  # the chart's own tag moves with the chart
    assert pinned(held, "sha256:other") == held
    assert unpinned(held, held) == held
    assert unpinned(held | {"tag": "2"}, held) == {"repository": "ic", "tag": "2", "digest": ""}
    assert unpinned(held | {"tag": "2"}, tagged) == held | {"tag": "2"}


@pytest.mark.parametrize(
    ("stable", "weight", "routed", "pods"),
    [
        (4, 0, True, 1),
        (4, 10, True, 1),
        (4, 30, True, 2),
        (4, 50, True, 2),
        (4, 100, True, 4),
        (10, 25, True, 3),
        (3, 25, False, 1),
        (2, 50, False, 2),
        (2, 90, False, 18),
        (10, 1, False, 1),
    ],
)
def test_a_canary_gets_enough_pods_for_its_share(stable: int, weight: int, routed: bool, pods: int) -> None:
    assert canary_replicas(stable, weight, routed) == pods


@pytest.mark.parametrize("weight", [0, 100])
def test_without_a_route_a_weight_of_0_or_100_is_refused(weight: int) -> None:
    with pytest.raises(K8sError, match="httpRoute"):
        canary_replicas(2, weight, False)


def test_promotion_merges_values_as_the_chart_does() -> None:
    values: dict[str, Any] = {
        "image": {"registry": "reg.io", "repository": "ic", "digest": DIGEST},
        "model": {"source": "pvc", "pvc": {"claimName": "models"}, "tag": "m:1"},
        "canary": {"enabled": True, "weight": 10, "image": {"tag": "2", "digest": ""}, "model": {"tag": "m:2"}},
        "replicaCount": 3,
    }
    found = promoted(values)
    assert found["image"] == {"registry": "reg.io", "repository": "ic", "tag": "2", "digest": ""}
    assert found["model"] == {"source": "pvc", "pvc": {"claimName": "models"}, "tag": "m:2", "digest": ""}
    assert without_canary(found)["canary"] == {"enabled": False}
    assert values["image"]["digest"] == DIGEST


def test_a_candidate_has_one_pod_and_no_route() -> None:
    values = {"replicaCount": 5, "ingress": {"enabled": True, "hosts": ["a"]}, "settings": {"queueLimit": 9}}
    found = alone(values, "demo-candidate", {"serviceAccount": {"create": False, "name": "demo"}})
    assert (found["replicaCount"], found["fullnameOverride"]) == (1, "demo-candidate")
    assert found["ingress"] == {"enabled": False, "hosts": ["a"]}
    assert found["settings"] == {"queueLimit": 9, "drainDelay": 0}


def history(*statuses: str) -> list[dict[str, Any]]:
    return [{"revision": number, "status": status} for number, status in enumerate(statuses, 1)]


@pytest.mark.parametrize(
    ("statuses", "trying", "good"),
    [
        ((), None, None),
        (("deployed",), None, 1),
        (("superseded", "deployed"), None, 2),
        (("superseded", "deployed"), 1, 1),
        (("superseded", "deployed"), 9, 2),
        (("superseded", "deployed", "pending-upgrade"), None, 2),
        (("superseded", "superseded", "pending-rollback"), None, 2),
        (("pending-install",), None, None),
        (("failed",), None, None),
    ],
)
def test_undoing_returns_to_the_last_good_revision(
    statuses: tuple[str, ...], trying: int | None, good: int | None
) -> None:
    assert good_revision(history(*statuses), trying) == good


def test_rollback_goes_to_a_proved_revision_only() -> None:
    found = history("superseded", "superseded", "superseded", "failed", "deployed")
    assert earlier(found, [1, 2]) == 2
    assert earlier(found, []) is None
    assert earlier(found, [4, 5]) is None
    assert earlier(history("deployed"), [1]) is None


def test_an_answer_must_match_the_class_and_nearly_the_confidence() -> None:
    example = GoldenImage("03.png", b"", "7", 0.998)
    assert compare(example, ("7", 0.9989), 1e-3) == ""
    assert compare(example, ("7", 0.9969), 1e-3).endswith("the confidence differs by 0.0011")
    assert compare(example, ("7", float("nan")), 1e-3)
    assert compare(example, ("1", 0.998), 1e-3) == "03.png: expected 7 (0.9980), got 1 (0.9980)"


def test_only_quantised_forms_may_differ_more() -> None:
    assert [tolerance(form) for form in ("onnx", "keras", "onnx-int8")] == [1e-3, 1e-3, 0.05]


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2m5s", 125)])
def test_durations_are_read_in_the_notation_of_go(text: str, seconds: float) -> None:
    assert duration(text) == seconds


SCHEMA_4 = """Error: values don't meet the specifications of the schema(s) in the following chart(s):
image-classifier:
- at '/replicaCount': got string, want integer
- at '': additional properties 'x' not allowed
"""
SCHEMA_3 = """Error: values don't meet the specifications of the schema(s) in the following chart(s):
image-classifier:
- (root): Additional property x is not allowed
- replicaCount: Invalid type. Expected: integer, given: string
"""
FORBIDDEN = (
    'Error: UPGRADE FAILED: query: failed to query with labels: secrets is forbidden: User "ci" cannot list resource '
    '"secrets" in API group "" in the namespace "prod"'
)


@pytest.mark.parametrize(
    ("stderr", "kind", "said"),
    [
        (
            SCHEMA_4,
            K8sError,
            "chart values: replicaCount: got string, want integer; values: additional properties 'x' not allowed",
        ),
        (
            SCHEMA_3,
            K8sError,
            "chart values: values: Additional property x is not allowed; "
            "replicaCount: Invalid type. Expected: integer, given: string",
        ),
        (FORBIDDEN, Forbidden, "ci has no permission to list secrets in namespace prod; see docs/kubernetes.md"),
        ("Error: release: not found", NotFound, "release: not found"),
        ("Error: Kubernetes cluster unreachable: dial tcp", Unreachable, "Kubernetes cluster unreachable: dial tcp"),
        ("Error: path ./x\n  not found", K8sError, "helm: path ./x not found"),
        ("Error: INSTALLATION FAILED: no such chart", K8sError, "helm: no such chart"),
    ],
)
def test_an_error_of_helm_becomes_one_line(stderr: str, kind: type[K8sError], said: str) -> None:
    error = explain(stderr)
    assert type(error) is kind
    assert str(error) == said


def test_mappings_are_merged_as_helm_merges_them() -> None:
    assert overlaid({"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"c": [2]}, "e": 3}) == {
        "a": {"b": 1, "c": [2]},
        "d": 2,
        "e": 3,
    }
