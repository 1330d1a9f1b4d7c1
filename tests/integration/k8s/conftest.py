"""`python -m k8s` against the real helm, the real chart, and a Kubernetes API on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from k8s.cli import PROGRAM
from k8s.pods import waiting
from tests.integration.k8s.clock import Clock
from tests.kubeapi.classifier import Answers, Classifier, store
from tests.kubeapi.pods import Fate
from tests.kubeapi.server import KubeApi

ANSWERS: Answers = {b"first image" * 9: ("7", 0.99), b"second image" * 9: ("3", 0.95)}
WRONG: Answers = dict.fromkeys(ANSWERS, ("1", 0.9))

Run = Callable[..., "Done"]


@dataclass(frozen=True)
class Done:
    """The exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The error line, without its prefix."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0].removeprefix("error: ")


@pytest.fixture(scope="session")
def helm() -> str:
    found = subprocess.run(["scripts/helm", "which"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"no helm: {found.stderr.strip().splitlines()[-1:]}")
    return found.stdout.strip()


@pytest.fixture
def api(tmp_path: Path) -> Iterator[KubeApi]:
    """A cluster whose registry has an image for each fate. Only the pods have the model's store entry."""
    home = tmp_path / "pod"
    store(home, ANSWERS)
    slowly = Classifier(ANSWERS, slow=0.3)
    with KubeApi() as api, Classifier(ANSWERS) as good, Classifier(WRONG) as wrong, slowly as slow:
        for tag in ("1", "2", "3"):
            api.fates[f"reg.local/ic:{tag}"] = Fate(port=good.port, home=str(home))
        api.fates["reg.local/ic:wrong"] = Fate(port=wrong.port, home=str(home))
        api.fates["reg.local/ic:slow"] = Fate(port=slow.port, home=str(home))
        api.fates["reg.local/ic:crash"] = Fate("crash", log="loading\nMODEL_TAG=x: no such model\n")
        api.fates["reg.local/ic:unready"] = Fate("unready")
        yield api


@pytest.fixture
def environment(api: KubeApi, helm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set the environment of commands, and return BENTOML_HOME, which is empty."""
    for key in [key for key in os.environ if "proxy" in key.lower()]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("HELM", helm)
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path)))
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "store"))
    # helm caches discovery by address, and another test's server may have used the same port.
    for folder in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "KUBECACHEDIR"):
        monkeypatch.setenv(folder, str(tmp_path / "helm"))
    return tmp_path / "store"


@pytest.fixture
def start(environment: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start commands in process groups of their own, as a shell does. The end of the test kills the remaining ones."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "k8s", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(
            subprocess.Popen(command, text=True, start_new_session=True, **pipes)  # type: ignore[call-overload]
        )
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def k8s(environment: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run commands in this process, which is faster. `start` runs them as users do."""

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        code = PROGRAM.main(list(arguments))
        return Done(code, *capsys.readouterr())

    before = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def release(k8s: Run) -> Run:
    """Release an image of the registry, without the load test."""

    def run(tag: str, *options: str) -> Done:
        return k8s("release", "demo", "--image", f"reg.local/ic:{tag}", "--slo", "none", *options)

    return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock by which commands wait for rollouts."""
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    return clock
