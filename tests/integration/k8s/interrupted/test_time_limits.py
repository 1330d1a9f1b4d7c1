"""`--timeout` limits a whole command: its waiting, its requests and its rollback."""

from __future__ import annotations

import socket
import time

import pytest

from k8s.errors import Refused
from k8s.pods.service import Service
from k8s.pods.waiting import Deadline
from tests.integration.k8s.clock import STEP, Clock
from tests.integration.k8s.conftest import Run
from tests.integration.k8s.records import serving, statuses
from tests.kubeapi.pods import Fate
from tests.kubeapi.server import KubeApi


def spoil(api: KubeApi, *tags: str) -> None:
    """Keep pods of these images from getting ready once helm has changed the release."""

    def see(method: str, path: str) -> None:
        if method == "PATCH" and path.endswith("/deployments/demo-image-classifier"):
            for tag in tags:
                api.fates[f"reg.local/ic:{tag}"] = Fate("unready")

    api.on_request = see


def test_a_rollout_that_never_gets_ready_is_rolled_back_within_the_timeout(
    release: Run, api: KubeApi, clock: Clock
) -> None:
    assert release("1").code == 0
    clock.now = 0
    spoil(api, "2")
    done = release("2", "--timeout", "10m")
    assert done.code == 3
    assert "container server runs but isn't ready" in done.error
    assert done.error.endswith("rolled back to revision 1")
    assert serving(api) == {"reg.local/ic:1"}
    assert 500 < clock.now <= 600


def test_a_rollback_that_never_gets_ready_ends_at_the_timeout(release: Run, api: KubeApi, clock: Clock) -> None:
    assert release("1").code == 0
    clock.now = 0
    spoil(api, "1", "2")
    done = release("2", "--timeout", "10m")
    assert done.code == 7
    assert "undoing the change failed too" in done.error
    assert done.error.endswith("by hand: helm rollback demo 1 --namespace default --kube-context stub")
    assert 600 <= clock.now <= 605 + STEP


def test_a_load_longer_than_the_timeout_is_not_started(k8s: Run, api: KubeApi) -> None:
    done = k8s("release", "demo", "--image", "reg.local/ic:1", "--load-time", "5m", "--timeout", "4m")
    assert done.code == 3
    assert "load: --timeout leaves " in done.error
    assert "s, but the load takes 300 s; demo is unchanged" in done.error
    assert statuses(api) == {}


def test_a_request_takes_no_longer_than_the_time_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Service(url, Deadline(1, undoing=False)) as service:
            began = time.monotonic()
            with pytest.raises(Refused, match="GET /version: no answer"):
                service.version()
            assert time.monotonic() - began < 15  # without a limit, half a minute
            with pytest.raises(Refused, match="not sent, because --timeout is up"):
                service.version()
