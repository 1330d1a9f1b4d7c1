"""Provide a cluster for the run, KUBECONFIG's or our own, and a namespace for each test."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster import lifecycle, settings, state, tools
from cluster.errors import ClusterError
from tests.cluster.kubectl import Cluster, environment
from tests.cluster.product import Product, Release, Workshop, job_image
from tests.cluster.target import Target, behind_the_gateway

RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
}
FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run test_install first and test_training last.

    The nodes don't have the image yet in test_install, so its figures include the pull. The image of a training has
    gigabytes: pushing and unpacking it slows down the machine for a while, which tests of lost requests would feel.
    """
    turns = {"test_install.py": 0, "test_training.py": 2}
    items.sort(key=lambda item: turns.get(item.path.name, 1) if FOLDER in item.path.parents else 0)


LEAVING = pytest.StashKey[list[str]]()
"""Namespaces whose deletion has started."""


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Yield KUBECONFIG's cluster, with its GATEWAY_HTTP, GATEWAY_HTTPS and REGISTRY if set, or else our own.

    After the last test, wait until every namespace that a test made is gone.
    """
    with _given_or_ours() as found:
        yield found
        for name in request.config.stash.get(LEAVING, []):
            found.kubectl("wait", "--for=delete", f"namespace/{name}", "--timeout=240s")


@contextlib.contextmanager
def _given_or_ours() -> Iterator[Cluster]:
    if given := os.environ.get("KUBECONFIG"):
        if not shutil.which("kubectl"):
            pytest.fail("KUBECONFIG is set, but kubectl isn't on PATH")
        doors = (os.environ.get(name, "") for name in ("GATEWAY_HTTP", "GATEWAY_HTTPS", "REGISTRY"))
        yield Cluster(environment(given), *doors)
        return
    ours = settings.load()
    try:
        tools.require()
    except ClusterError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
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


@contextlib.contextmanager
def a_namespace(cluster: Cluster, request: pytest.FixtureRequest, words: str) -> Iterator[str]:
    """Yield a namespace under Pod Security `restricted`; if a test fails meanwhile, print what it holds."""
    name = f"{re.sub(r'[^a-z0-9]+', '-', words.lower())[:40].strip('-')}-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, *(f"{key}={value}" for key, value in RESTRICTED.items()))
    failures = request.session.testsfailed
    yield name
    if request.session.testsfailed > failures:
        # pytest shows what a fixture prints beside the failure.
        os.write(1, cluster.report(name).encode())
    # The next test may use the same host name at the gateway.
    cluster.kubectl("-n", name, "delete", "ingresses,httproutes", "--all")
    # A namespace waits for its pods' grace periods, which nothing here needs.
    cluster.kubectl("-n", name, "delete", "deployments,jobs", "--all", "--wait=false")
    cluster.kubectl("-n", name, "delete", "pods", "--all", "--now", "--wait=false")
    cluster.kubectl("delete", "namespace", name, "--wait=false")
    request.config.stash.setdefault(LEAVING, []).append(name)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the test's own namespace."""
    with a_namespace(cluster, request, request.node.name.removeprefix("test_")) as name:
        yield name


@pytest.fixture(scope="session")
def workshop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    if not cluster.registry:
        pytest.skip("REGISTRY names no registry that this machine can push to and the cluster pull from")
    workshop = Workshop(tmp_path_factory.mktemp("home"), cluster.registry)
    yield workshop
    workshop.close()


@pytest.fixture(scope="session")
def product(workshop: Workshop) -> Product:
    return workshop.first()


@pytest.fixture(scope="session")
def newer(workshop: Workshop, product: Product, tmp_path_factory: pytest.TempPathFactory) -> Product:
    """Return another version: another model in another image."""
    return workshop.newer(tmp_path_factory.mktemp("newer"))


@pytest.fixture(scope="session")
def training_image(cluster: Cluster) -> Iterator[str]:
    with job_image(cluster, "training") as image:
        yield image


@pytest.fixture
def release(cluster: Cluster, namespace: str) -> Release:
    """Return a release that isn't installed yet; it is deleted with its namespace."""
    return Release(cluster, namespace)


@pytest.fixture(scope="module")
def standing(cluster: Cluster, product: Product, request: pytest.FixtureRequest) -> Iterator[Target]:
    """Yield a target that is installed once for the tests of a module."""
    if not cluster.http:
        pytest.skip("GATEWAY_HTTP names no gateway")
    with a_namespace(cluster, request, request.node.path.stem.removeprefix("test_")) as name:
        target = behind_the_gateway(Release(cluster, name), product)
        target.install()
        yield target


@pytest.fixture
def target(standing: Target, request: pytest.FixtureRequest) -> Iterator[Target]:
    """Yield the module's target as it was installed, and afterwards undo what the test changed."""
    failures = request.session.testsfailed
    yield standing
    if request.session.testsfailed == failures:
        standing.restore()
        return
    os.write(1, standing.release.cluster.report(standing.release.namespace).encode())
    standing.release.helm("uninstall", standing.release.name, "--wait", "--ignore-not-found")
    standing.install()


FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that keeps a figure of this test, to be printed when the run ends."""
    figures = request.config.stash.setdefault(FIGURES, [])
    name = request.node.name.removeprefix("test_").replace("_", " ")
    return lambda text: figures.append(f"{name}: {text}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if figures := config.stash.get(FIGURES, []):
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.line(line)
