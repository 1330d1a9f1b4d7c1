"""A forwarded port adds no latency to the measurements through it."""

from __future__ import annotations

import statistics
import time

import pytest

from k8s.cluster import connect
from k8s.pods.forward import Forward
from k8s.pods.service import Service
from tests.integration.k8s.conftest import Run
from tests.kubeapi.server import KubeApi

pytestmark = pytest.mark.alone


def test_an_answer_in_pieces_is_not_delayed(release: Run, api: KubeApi) -> None:
    assert release("1").code == 0
    pod = api.objects.all("pods")[0]["metadata"]["name"]
    took = []
    with Forward(connect(None, None, None), [pod]) as forward, Service(forward.url) as service:
        for _ in range(60):
            began = time.perf_counter()
            service.predict(b"first image" * 9, "first.png")
            took.append(time.perf_counter() - began)
    assert statistics.median(took) < 0.02  # half a millisecond; 43 ms if pieces wait for acknowledgements
