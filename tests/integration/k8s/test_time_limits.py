"""`--timeout` holds for all of a command: what waits, what asks, and what goes back."""

from __future__ import annotations

import socket
import time

import pytest

from k8s.errors import Refused
from k8s.service import Service
from k8s.waiting import Deadline
from tests.integration.k8s.clock import STEP, Clock
from tests.integration.k8s.conftest import Run
from tests.integration.k8s.records import serving, statuses
from tests.kubeapi.pods import Fate
from tests.kubeapi.server import KubeApi


def spoil(api: KubeApi, *tags: str) -> None:
    """From when helm changes the release, pods of these images never get ready."""

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


def test_going_back_that_never_gets_ready_either_ends_at_the_timeout_too(
    release: Run, api: KubeApi, clock: Clock
) -> None:
    assert release("1").code == 0
    clock.now = 0
    spoil(api, "1", "2")
    done = release("2", "--timeout", "10m")
    assert done.code == 7
    assert "undoing it failed too" in done.error
    assert done.error.endswith("by hand: helm rollback demo 1")
    assert 600 <= clock.now <= 605 + STEP


def test_a_load_that_would_take_longer_is_not_begun(k8s: Run, api: KubeApi) -> None:
    done = k8s("release", "demo", "--image", "reg.local/ic:1", "--load-time", "5m", "--timeout", "4m")
    assert done.code == 3
    assert "load: --timeout leaves " in done.error
    assert "s for 300 s of it; demo is as it was" in done.error
    assert statuses(api) == {}


def test_a_request_takes_no_longer_than_the_time_that_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Service(url, Deadline(1, undoing=False)) as service:
            began = time.monotonic()
            with pytest.raises(Refused, match="GET /version: no answer"):
                service.version()
            assert time.monotonic() - began < 15  # without a limit, half a minute
            with pytest.raises(Refused, match="not asked, because --timeout is up"):
                service.version()
