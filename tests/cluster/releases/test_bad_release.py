"""A bad release never takes traffic: the old version keeps answering, and the command says what is wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import command
from tests.cluster.product import Product
from tests.cluster.target import Target

TIMEOUT = 45
# No registry has this image.
NO_SUCH_IMAGE = "sha256:" + "0" * 64


def no_such_image(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"image": values["image"] | {"digest": NO_SUCH_IMAGE}}


def crash_loop(_: Mapping[str, Any]) -> dict[str, Any]:
    return {"extraEnv": [{"name": "MODEL_TAG", "value": "no_such_model:1"}]}


def never_ready(values: Mapping[str, Any]) -> dict[str, Any]:
    """Add a container that never ends, so that the pod never becomes ready."""
    image = values["image"]
    container = {
        "name": "wait",
        "image": f"{image['registry']}/{image['repository']}@{image['digest']}",
        "command": ["python", "-c", "import time; time.sleep(3600)"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {"extraInitContainers": [container]}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (no_such_image, f"(ErrImagePull|ImagePullBackOff): .*{NO_SUCH_IMAGE}"),
        pytest.param(
            crash_loop,
            "crash loop: container server ended 2 times, exit code 1; .* no model no_such_model:1",
            marks=pytest.mark.core,
        ),
        (never_ready, "the limit set by --timeout: .*container wait runs but isn't ready"),
    ],
)
def test_a_bad_release_is_undone_and_loses_nothing(
    target: Target,
    product: Product,
    figure: Callable[[str], None],
    tmp_path: Path,
    fault: Callable[[Mapping[str, Any]], dict[str, Any]],
    reason: str,
) -> None:
    values = tmp_path / "values.json"
    values.write_text(json.dumps(target.values | fault(target.values)))
    with target.probe() as probe:
        time.sleep(2)
        begun = time.monotonic()
        flags = ("--values", str(values), "--timeout", f"{TIMEOUT}s", "--slo", "none")
        said = command.k8s(target.release, "release", *flags, code=3)
        took = time.monotonic() - begun
        time.sleep(2)
    assert command.error(said, reason), said
    # A sanity bound: `took` is printed.
    assert took < 2 * TIMEOUT
    assert not probe.verdict.failures, str(probe.verdict)
    assert [version for _, version in probe.verdict.versions] == [product.model]
    assert command.serving(target.release) == {command.image(product)}
    figure(f"undone after {took:.0f} s of --timeout {TIMEOUT}s; {len(probe.verdict.requests)} requests, 0 failed")
