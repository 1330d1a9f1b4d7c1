"""A pod gets requests only once its model is warm, and is restarted if its model hangs."""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from tests.cluster import models
from tests.cluster.kubectl import Cluster
from tests.cluster.product import CHART, Product, Release
from tests.cluster.target import RESOURCES, behind_the_gateway
from tests.cluster.waiting import eventually
from tests.slow_model import write_slow_entry
from tests.stored import picture

HANG_TIMEOUT = 2


def statuses(release: Release, pod: str) -> str:
    """Return the pod's own answers to /livez and /readyz, in its Service or not; empty before it can answer.

    The API server's proxy is no way to ask, because kubectl would obey Retry-After.
    """
    here = ("-n", release.namespace, "exec", pod, "-c", "server", "--", "python", "-c", ASK)
    return release.cluster.kubectl(*here, check=False).strip()


ASK = """
import http.client
for path in ("/livez", "/readyz"):
    connection = http.client.HTTPConnection("127.0.0.1", 3001, timeout=5)
    connection.request("GET", path)
    print(connection.getresponse().status, end=" ")
"""


def test_a_pod_that_is_alive_gets_no_requests_before_its_model_is_warm(
    cluster: Cluster, release: Release, product: Product, tmp_path: Path
) -> None:
    # This model takes seconds to warm up.
    model = models.published(cluster, write_slow_entry(tmp_path / "entry", 1500), tmp_path / "home", "cold")
    values = product.values | {"model": model, "replicaCount": 1, "resources": RESOURCES}
    release.helm("install", release.name, CHART, values=values)
    seen = []

    def ready() -> bool:
        for pod in release.pods():
            conditions = pod["status"].get("conditions", [])
            is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
            seen.append((statuses(release, pod["metadata"]["name"]), is_ready, len(addresses(release))))
        return bool(seen) and seen[-1][1]

    eventually(ready, "a warm model")
    eventually(lambda: bool(addresses(release)), "its address in the Service")
    # While it warms up, the pod is alive, not ready and not in the Service.
    assert ("200 503", False, 0) in seen, seen
    assert not [each for each in seen if each[0] == "200 503" and each[2]], seen


def addresses(release: Release) -> list[str]:
    """Return the addresses that the Service sends requests to."""
    label = f"kubernetes.io/service-name={release.fullname}"
    slices = release.cluster.get("endpointslices", "-n", release.namespace, "-l", label)["items"]
    endpoints = [endpoint for each in slices for endpoint in each["endpoints"] or []]
    return [endpoint["addresses"][0] for endpoint in endpoints if endpoint["conditions"]["ready"]]


def test_a_pod_with_a_hung_model_is_restarted_while_the_other_pod_keeps_serving(
    cluster: Cluster, release: Release, product: Product, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    entry = write_slow_entry(tmp_path / "entry", 5, trap=True)
    model = models.published(cluster, entry, tmp_path / "home", "trap")
    probes = {"liveness": {"periodSeconds": 1, "failureThreshold": 2}}
    changed = {"settings": {"hangTimeout": HANG_TIMEOUT}, "probes": probes, "resources": RESOURCES}
    target = behind_the_gateway(release, product, "hung.example.test", model=model, **changed)
    target = dataclasses.replace(target, image=picture("red", "JPEG"), expected="red")
    target.install()
    hung, other = (pod["metadata"]["name"] for pod in release.pods())
    with target.probe(rate=20) as probe:
        start = time.monotonic()
        time.sleep(2)
        send_directly(release, hung, white())
        begun = time.monotonic() - start
        eventually(lambda: len(addresses(release)) == 1, "the hung pod taken out of the Service")
        noticed = time.monotonic() - start
        eventually(lambda: restarts(release)[hung] == 1, "the restart")
        restarted = time.monotonic() - start
        eventually(lambda: len(addresses(release)) == 2, "both pods in the Service")
        time.sleep(2)
    assert restarts(release) == {hung: 1, other: 0}
    # Only requests sent to the hung pod before it left the Service are lost; then the other pod answers all.
    lost = probe.verdict.failures
    assert len(lost) < len(probe.verdict.requests) / 2, str(probe.verdict)
    assert not [request for request in lost if request.due > noticed + 5], str(probe.verdict)
    figure(
        f"not ready after {noticed - begun:.0f} s, restarted after {restarted - begun:.0f} s; "
        f"{len(lost)} of {len(probe.verdict.requests)} requests lost"
    )


def white() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "white").save(out, "PNG")
    return out.getvalue()


def send_directly(release: Release, pod: str, image: bytes) -> None:
    """Send one pod an image from inside, without waiting for an answer."""
    script = (
        f"import socket; s = socket.create_connection(('127.0.0.1', 3000)); body = bytes.fromhex('{image.hex()}'); "
        "s.sendall(b'POST /predict HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: image/png\\r\\n"
        "Content-Length: %d\\r\\n\\r\\n' % len(body) + body); s.settimeout(1)\n"
        "try: print(s.recv(1000))\nexcept TimeoutError: print('no answer')"
    )
    said = release.cluster.kubectl("-n", release.namespace, "exec", pod, "-c", "server", "--", "python", "-c", script)
    assert "no answer" in said, said


def restarts(release: Release) -> dict[str, Any]:
    return {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in release.pods()}
