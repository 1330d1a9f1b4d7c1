"""The metrics, as Prometheus itself reads them."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.chart.conftest import template
from tests.integration.conftest import Server, Store, end_tree, free_port, serving
from tests.stored import CLASSES, picture

CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}
rule_files: {rules}
scrape_configs:
  - job_name: image_classifier
    static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {labels}}}]
"""


def binary(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def query(url: str, expression: str) -> list[dict[str, Any]]:
    answer = httpx.get(url + "/api/v1/query", params={"query": expression}, timeout=10).json()
    assert answer["status"] == "success", answer
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


def eventually(url: str, expression: str, seconds: float = 30) -> list[dict[str, Any]]:
    """Return the first answer that isn't empty."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := query(url, expression):
            return result
        time.sleep(0.1)
    raise AssertionError(f"nothing for {expression}")


def until_ready(url: str, seconds: float = 30) -> None:
    """Wait for Prometheus: it listens before it can answer, and says 503 meanwhile."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url + "/-/ready", timeout=10).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"{url} did not get ready")


@contextlib.contextmanager
def scraping(server: Server, home: Path, rules: list[str], **labels: str) -> Iterator[str]:
    """Run a Prometheus that scrapes the server, and yield its address."""
    config, port = home / "prometheus.yml", free_port()
    config.write_text(CONFIG.format(port=server.port, rules=json.dumps(rules), labels=json.dumps(labels)))
    command = [
        binary("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={home / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        until_ready(url)
        # Up, by its own reckoning, is a target whose metrics it could read.
        eventually(url, 'up{job="image_classifier"} == 1')
        yield url
    except BaseException:
        sys.stderr.write(Path(log.name).read_text())
        raise
    finally:
        end_tree(process)


@pytest.fixture(scope="module")
def prometheus(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that scrapes the server."""
    with scraping(server, tmp_path_factory.mktemp("prometheus"), []) as url:
        yield url


def test_promtool_finds_nothing_to_criticise(server: Server) -> None:
    server.predict(picture("red"))
    server.predict(b"no image")
    text = server.get("/metrics").text
    done = subprocess.run(
        [binary("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_prometheus_reads_what_was_served(server: Server, prometheus: str) -> None:
    for _ in range(3):
        server.predict(picture("green"))
    served = server.metric("image_classifier_requests_total", route="/predict", code="200")
    matching = '{route="/predict", method="POST", code="200"}'
    eventually(prometheus, f"image_classifier_requests_total{matching} >= {served}")
    assert eventually(prometheus, "sum(image_classifier_model_info) == 1 and sum(image_classifier_ready) == 1")


def test_prometheus_takes_quantiles_of_the_histograms(server: Server, prometheus: str) -> None:
    server.predict(picture("green"))
    for name in ("request_duration_seconds", "stage_duration_seconds", "queue_wait_seconds", "confidence"):
        expression = f"histogram_quantile(0.99, sum by (le) (image_classifier_{name}_bucket)) >= 0"
        assert len(eventually(prometheus, expression)) == 1


RULES = {"prometheusRule.enabled": True, "prometheusRule.driftMinImages": 50}
# The chart's rules look at days.
HURRIED = {"1d": "15s", "interval: 5m": "interval: 200ms", "for: 30m": "for: 0s"}


def test_images_that_training_never_saw_are_drift(colour_store: tuple[Store, str], tmp_path: Path) -> None:
    rules = yaml.safe_dump(template(RULES).spec("PrometheusRule"))
    for slow, quick in HURRIED.items():
        assert slow in rules
        rules = rules.replace(slow, quick)
    (tmp_path / "rules.yml").write_text(rules)
    # What the Prometheus Operator takes from the pods.
    whose = {"namespace": "ml", "app_kubernetes_io_instance": "web"}
    whose |= {"app_kubernetes_io_name": "image-classifier", "app_kubernetes_io_component": "server"}
    firing = 'ALERTS{alertname="ImageClassifierDrift", alertstate="firing"}'
    with serving(colour_store[0], ".") as server, scraping(server, tmp_path, ["rules.yml"], **whose) as url:
        for _ in range(40):
            for colour in CLASSES:
                server.predict(picture(colour))
        close = "count(image_classifier:drift:psi15s < 0.05) == 4"
        eventually(url, f"{close} and on () min(image_classifier:drift:images15s) > 50")
        assert query(url, firing) == []
        for _ in range(150):
            server.predict(picture("white"))
        fired = eventually(url, firing.replace("}", ', feature="brightness"}'))
        assert fired[0]["metric"]["model"] == colour_store[1]


def test_a_thousand_random_paths_add_no_series(server: Server, prometheus: str) -> None:
    with httpx.Client(base_url=server.url) as client:

        def samples() -> int:
            return sum(not line.startswith("#") for line in client.get("/metrics").text.splitlines())

        # What a scan leaves behind, it leaves the first time.
        for method, path in (("GET", "/x"), ("POST", "/v2/models/x/infer"), ("GET", "/v2/models/x/versions/1/ready")):
            client.request(method, path)
        samples()
        before = samples()
        for i in range(1000):
            path = (f"/scan/{i}.php", f"/v2/models/scan{i}/versions/{i}/ready", f"/predict/{i}?top_k={i}")[i % 3]
            assert client.get(path).status_code == 404
            assert client.post(f"/v2/models/scan{i}/infer").status_code == 404
        assert samples() == before
    # Having counted every one of them, Prometheus knows as few.
    seen = server.metric("image_classifier_requests_total", route="other")
    eventually(prometheus, f'sum(image_classifier_requests_total{{route="other"}}) >= {seen}')
    eventually(prometheus, f'count({{__name__=~"image_classifier_.*"}}) == {before}')
