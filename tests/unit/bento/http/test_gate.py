"""What the service answers to a connection that asks whether there is room."""

from __future__ import annotations

import asyncio

import pytest

from bento.http.gate import AdmissionGate
from bento.http.routes.table import ROUTES
from bento.inference.admission import Admission
from bento.lifecycle import Lifecycle
from bento.settings import Settings


class Service:
    """A service with room for one image."""

    def __init__(self) -> None:
        settings = Settings(queue_limit=1)
        self.admission = Admission(settings)
        self.lifecycle = Lifecycle(0)
        self.gate = AdmissionGate(settings, self.admission, self.lifecycle, ROUTES, (b"x-model-version", b"a:1"))


@pytest.mark.parametrize("url", [b"/predict", b"/predict?", b"/predict?top_k=3"])
def test_only_a_prediction_of_one_image_is_refused_early(url: bytes) -> None:
    gate = Service().gate
    assert gate.early_route(b"POST", url) == "/predict"
    assert gate.early_route(b"GET", url) is None


@pytest.mark.parametrize("url", [b"/", b"/predict/", b"/predict/batch", b"/explain", b"/predictor", b"/livez"])
def test_other_routes_are_never_refused_early(url: bytes) -> None:
    assert Service().gate.early_route(b"POST", url) is None


def test_only_a_management_port_that_is_set_is_one() -> None:
    settings = Settings(management_port=3001)
    gate = AdmissionGate(settings, Admission(settings), Lifecycle(0), ROUTES, (b"x-model-version", b"a:1"))
    assert gate.is_management(("::", 3001))
    assert not gate.is_management(("::", 3000))
    for server in (("test", None), ("::", 3001), None):
        assert not Service().gate.is_management(server)


def test_a_request_is_refused_when_the_queue_is_full_and_the_service_is_ready() -> None:
    async def scenario() -> list[bool]:
        service = Service()
        loop = asyncio.get_running_loop()
        service.admission.enter()
        while_loading = service.gate.refuses_next(loop)
        service.lifecycle.ready()
        full = service.gate.refuses_next(loop)
        service.admission.leave(answered=True)
        return [while_loading, full, service.gate.refuses_next(loop)]

    assert asyncio.run(scenario()) == [False, True, False]
    assert Service().gate.refusal().code == "queue_full"
