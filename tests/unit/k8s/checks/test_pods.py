"""Pods that come and go while they are checked: only a version's own failure refuses it, and nothing isn't a pass."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from k8s.checks import golden, load
from k8s.checks.pods import Checks
from k8s.errors import K8sError, NotFound, Refused
from k8s.errors import message_of as message
from k8s.pods.forward import management_port
from k8s.pods.service import Service
from k8s.pods.waiting import Deadline
from model_format.golden import GoldenImage

Json = dict[str, Any]


def pod(name: str) -> Json:
    return {"metadata": {"name": name, "uid": f"uid of {name}"}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, K8sError | None]:
    """The pods that were asked, each with its failure. Tests enter the failures first."""
    failures: dict[str, K8sError | None] = {}

    def ask(checks: Checks, pod: Json, *, first: bool) -> None:
        error = failures.setdefault(pod["metadata"]["name"], None)
        checks._examples = [GoldenImage("0.png", b"", "7", 0.9)]
        if error:
            raise error

    monkeypatch.setattr(Checks, "_ask", ask)
    return failures


def checks(slo: str = "") -> Checks:
    return Checks(None, None, True, load.Load(slo, 20, 1), Deadline(60))  # type: ignore[arg-type]


def looks(*rounds: list[str]) -> Callable[[], list[Json]]:
    """Return what finds the pods of each round, and those of the last one from then on."""
    left = list(rounds)
    return lambda: [pod(name) for name in (left.pop(0) if len(left) > 1 else left[0])]


def test_a_pod_that_goes_while_it_is_asked_is_passed_over_and_its_successor_asked(
    asked: dict[str, K8sError | None],
) -> None:
    asked["a"] = NotFound('pods "a" not found')
    checks().answers(looks(["a", "b"], ["b", "c"]))
    assert list(asked) == ["a", "b", "c"]


def test_a_pod_that_stays_refuses_the_version(asked: dict[str, K8sError | None]) -> None:
    asked["b"] = Refused("golden set: 1 of 2 images differ")
    with pytest.raises(Refused, match="images differ"):
        checks().answers(looks(["a", "b"]))


def test_no_pod_is_no_pass_unless_the_candidate_was_asked(asked: dict[str, K8sError | None]) -> None:
    own = checks()
    with pytest.raises(Refused, match="nothing was checked"):
        own.answers(looks([]))
    own.answers(looks(["candidate"]))
    own.answers(looks([]))


def test_a_golden_set_of_no_image_is_no_pass() -> None:
    with pytest.raises(Refused, match="nothing was checked"):
        golden.check(Service("http://127.0.0.1:1"), [], "onnx")


def test_a_load_whose_pod_goes_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = list[str]()

    def run(url: str, *_: object) -> str:
        loaded.append(url)
        if len(loaded) == 1:
            raise Refused("errors 3 of 20 > 0")
        return "errors 0 of 20 <= 0"

    monkeypatch.setattr(load, "run", run)
    own = checks("errors=0")
    own.levels(looks(["a"], ["b"]))
    assert own.passed == ["service levels: errors 0 of 20 <= 0"]
    loaded.clear()
    with pytest.raises(Refused, match="errors 3 of 20"):
        own.levels(looks(["b"]))


def test_a_refusal_of_the_api_server_is_its_message() -> None:
    assert message('{"kind": "Status", "message": "pods \\"a\\" not found", "code": 404}') == 'pods "a" not found'
    assert message("bad gateway") == "bad gateway"


def test_a_pod_is_asked_for_its_version_on_the_port_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind: metrics and version may be on a port of their own, and a gateway before the main one has neither."""
    asked: list[tuple[str, str]] = []

    class Port(contextlib.nullcontext[Any]):
        error = None

        def __init__(self, cluster: Any, pods: list[str], port: int = 3000) -> None:
            super().__init__(self)
            self.url = f"http://pod:{port}"

    class Asked(contextlib.nullcontext[Any]):
        def __init__(self, url: str, deadline: Deadline) -> None:
            super().__init__(self)
            self.url = url

        def version(self) -> Json:
            asked.append((self.url, "version"))
            return {"model": "m:1", "runtime": "onnx-int8"}

        def predict(self, image: bytes, name: str) -> tuple[str, float]:
            asked.append((self.url, "predict"))
            return "7", 0.87  # within the tolerance of a quantised form alone

    monkeypatch.setattr("k8s.checks.pods.Forward", Port)
    monkeypatch.setattr("k8s.checks.pods.Service", Asked)
    monkeypatch.setattr(golden, "find", lambda *_: [GoldenImage("0.png", b"", "7", 0.9)])
    ports = [{"name": "http", "containerPort": 3000}, {"name": "management", "containerPort": 3009}]
    found = pod("a") | {"spec": {"containers": [{"name": "proxy"}, {"name": "server", "ports": ports}]}}
    these = checks()
    these.answers(lambda: [found])
    these.door("http://gateway")
    assert asked == [("http://pod:3009", "version"), ("http://pod:3000", "predict"), ("http://gateway", "predict")]


def test_a_pod_without_a_management_port_has_everything_on_the_main_one() -> None:
    assert management_port(pod("a")) == 3000
    assert management_port({"spec": {"containers": [{"ports": [{"containerPort": 3000, "name": "http"}]}]}}) == 3000
