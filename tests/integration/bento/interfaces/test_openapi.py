"""The document at /openapi.json against the service itself, by schemathesis."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bento.http.routes.table import ROUTES
from tests.integration.conftest import Server, Store, serving

SCHEMATHESIS = str(Path(sys.executable).parent / "schemathesis")

# Cases in which a schema can't tell right from wrong.
CONFIG = """
hooks = "tests.integration.bento.interfaces.schemathesis_hooks"

[[operations]]
include-path = "/predict/batch"
# Any value of a form's field is bytes, and bytes that are no image get an entry of their own.
checks.negative_data_rejection.expected-statuses = ["200", "400", "401", "413"]

[[operations]]
include-path-regex = "/infer$"
# Bytes after the JSON must be as many as it says.
checks.positive_data_acceptance.expected-statuses = ["200", "400"]

[[operations]]
include-path-regex = "/versions/"
parameters = {{ "path.version" = "{version}" }}
"""


ALL = len(ROUTES) - 1
"""Routes that schemathesis tests: all of the document but /openapi.json, which it reads."""


def run_schemathesis(server: Server, folder: Path, *options: str, routes: int = ALL) -> None:
    """Test this many routes against the document, with all checks and the same requests each time."""
    version = server.get("/livez").headers["x-model-version"].partition(":")[2]
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG.format(version=version))
    bounds = ("--seed", "1", "--max-examples", "25", "--checks", "all", "--continue-on-failure", "--no-color")
    done = subprocess.run(
        [
            SCHEMATHESIS,
            "--config-file",
            str(config),
            "run",
            f"{server.url}/openapi.json",
            "--url",
            server.url,
            *bounds,
            *options,
        ],
        env=os.environ | {"PYTHONPATH": str(Path.cwd()), "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "examples")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Tested: {routes}\n" in done.stdout, done.stdout


def test_the_service_behaves_as_its_document_says(server: Server, tmp_path: Path) -> None:
    # This model has no Keras form; training/test_explanations.py sends the same to one that has one.
    posts = [route.path for route in ROUTES if route.method == "POST" and route.path != "/explain"]
    wanted = [(route, code) for route in posts for code in ("200", "400")]

    def counts() -> list[float]:
        return [server.metric("image_classifier_requests_total", route=route, code=code) for route, code in wanted]

    before = counts()
    run_schemathesis(server, tmp_path)
    for kind, least, now in zip(wanted, before, counts(), strict=True):
        assert now > least, f"never seen: {kind}"


def test_with_api_keys_the_service_behaves_as_its_document_says(
    colour_store: tuple[Store, str], tmp_path: Path
) -> None:
    with serving(colour_store[0], ".", API_KEYS="open-sesame") as server:
        assert "securitySchemes" in server.get("/openapi.json").json()["components"]
        run_schemathesis(server, tmp_path, "--header", "X-API-Key: open-sesame")
        assert server.metric("image_classifier_requests_total", code="401") > 0
