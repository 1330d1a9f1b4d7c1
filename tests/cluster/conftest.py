"""A cluster for the run, given by KUBECONFIG or our own, and a namespace for each test."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator

import pytest

from cluster import lifecycle, settings, state, tools
from cluster.errors import ClusterError
from tests.cluster import product as products
from tests.cluster import target as targets
from tests.cluster.kubectl import Cluster, environment
from tests.cluster.product import Product, Release
from tests.cluster.target import Target

RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """KUBECONFIG's, with GATEWAY_HTTP, GATEWAY_HTTPS and REGISTRY where it has them; else one of our own."""
    if given := os.environ.get("KUBECONFIG"):
        if not shutil.which("kubectl"):
            pytest.fail("KUBECONFIG is set, and kubectl isn't on the path")
        doors = (os.environ.get(name, "") for name in ("GATEWAY_HTTP", "GATEWAY_HTTPS", "REGISTRY"))
        yield Cluster(environment(given), *doors)
        return
    ours = settings.load()
    try:
        tools.require()
    except ClusterError as error:
        pytest.skip(str(error))
    if state.holder(ours):
        yield _ours(ours)
        return
    with lifecycle.running(ours):
        yield _ours(ours)


def _ours(ours: settings.Settings) -> Cluster:
    return Cluster(
        environment(str(ours.kubeconfig), path=str(ours.bin)),
        http=f"http://127.0.0.1:{ours.http_port}",
        https=f"https://127.0.0.1:{ours.https_port}",
        registry=ours.registry,
    )


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """Under Pod Security `restricted`; seen gone afterwards. What it held is printed when the test fails."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    name = f"{words[:40].strip('-')}-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, *(f"{key}={value}" for key, value in RESTRICTED.items()))
    failures = request.session.testsfailed
    yield name
    if request.session.testsfailed > failures:
        # pytest shows what a fixture prints beside the failure.
        os.write(1, cluster.report(name).encode())
    # A namespace waits for its pods as long as they ask for; nobody needs what these still do.
    cluster.kubectl("-n", name, "delete", "deployments,jobs", "--all", "--wait=false")
    cluster.kubectl("-n", name, "delete", "pods", "--all", "--now")
    cluster.kubectl("delete", "namespace", name, "--wait", "--timeout=240s")


@pytest.fixture(scope="session")
def product(cluster: Cluster) -> Product:
    if not cluster.registry:
        pytest.skip("REGISTRY names no registry that this machine can push to and the cluster pull from")
    return products.build(cluster.registry)


@pytest.fixture(scope="session")
def newer(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Product:
    """Another version: another model in another image."""
    return products.build_newer(product.registry, tmp_path_factory.mktemp("newer"))


@pytest.fixture
def release(cluster: Cluster, namespace: str) -> Release:
    """Not installed yet; it goes with its namespace."""
    return Release(cluster, namespace)


@pytest.fixture
def target(release: Release, product: Product) -> Target:
    if not release.cluster.http:
        pytest.skip("GATEWAY_HTTP names no gateway")
    return targets.installed(release, product)


FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keeps a figure of this test, to be printed when the run ends."""
    figures = request.config.stash.setdefault(FIGURES, [])
    name = request.node.name.removeprefix("test_").replace("_", " ")
    return lambda text: figures.append(f"{name}: {text}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if figures := config.stash.get(FIGURES, []):
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.line(line)
