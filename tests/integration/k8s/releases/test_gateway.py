"""`--url`: the gateway's answers must be right too, whatever server answers there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.integration.k8s.conftest import ANSWERS, WRONG, Run
from tests.integration.k8s.records import serving, statuses
from tests.kubeapi.classifier import Classifier
from tests.kubeapi.server import KubeApi


@pytest.fixture
def gateway() -> Iterator[Classifier]:
    with Classifier(ANSWERS) as gateway:
        yield gateway


def url(gateway: Classifier) -> str:
    return f"http://127.0.0.1:{gateway.port}"


def test_the_golden_set_of_the_pods_is_sent_to_the_gateway(release: Run, gateway: Classifier) -> None:
    done = release("1", "--url", url(gateway), "--output", "json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["checks"][-1].startswith(f"{url(gateway)}: 2 golden images, classes equal")
    assert gateway.requests == 2


def test_a_wrong_answer_of_the_gateway_rolls_the_release_back(release: Run, api: KubeApi, gateway: Classifier) -> None:
    assert release("1").code == 0
    gateway.answers = WRONG
    done = release("2", "--url", url(gateway))
    assert done.code == 3
    assert done.error.startswith(f"{url(gateway)}: golden set: 2 of 2 images differ")
    assert done.error.endswith("rolled back to revision 1")
    assert serving(api) == {"reg.local/ic:1"}


def test_another_server_behind_the_url_gives_a_one_line_error(release: Run, api: KubeApi) -> None:
    done = release("1", "--url", api.url)
    assert done.code == 3
    assert done.error.startswith(f"{api.url}: POST /predict: ")
    assert done.error.endswith("the new release demo is removed")
    assert statuses(api) == {}


def test_a_promotion_that_the_gateway_does_not_show_keeps_the_canary(
    release: Run, k8s: Run, api: KubeApi, gateway: Classifier
) -> None:
    assert release("1", "--set", "replicaCount=3").code == 0
    assert k8s("canary", "demo", "--weight", "25", "--image", "reg.local/ic:2", "--slo", "none").code == 0
    gateway.answers = WRONG
    done = k8s("promote", "demo", "--url", url(gateway))
    assert done.code == 3
    assert serving(api) == {"reg.local/ic:1"}
    assert serving(api, "canary") == {"reg.local/ic:2"}
