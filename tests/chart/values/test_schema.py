"""The schema and the README's table match values.yaml, and wrong values are refused with a helpful message."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bento.settings import Settings
from helm import describe
from tests.chart.conftest import CHART, refusal

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


def test_the_schema_and_the_readme_match_values_yaml(tmp_path: Path) -> None:
    for name in ("values.yaml", "values.schema.json", "README.md"):
        (tmp_path / name).write_bytes((CHART / name).read_bytes())
    assert describe.write(tmp_path) == [], "run: make values"


def test_a_changed_default_rewrites_the_schema_and_the_readme(tmp_path: Path) -> None:
    for name in ("values.yaml", "values.schema.json", "README.md"):
        (tmp_path / name).write_bytes((CHART / name).read_bytes())
    values = tmp_path / "values.yaml"
    values.write_text(values.read_text().replace("replicaCount: 2", "replicaCount: 3"))
    assert {path.name for path in describe.write(tmp_path)} == {"values.schema.json", "README.md"}
    assert describe.write(tmp_path) == []


def differences(schema: dict[str, Any], values: Any, where: str = "") -> list[str]:
    """Return the keys that only one of schema and values has, where the schema lists the keys."""
    if "properties" not in schema:
        return []
    odd = [f"{where}{key}" for key in schema["properties"].keys() ^ values.keys()]
    for key in schema["properties"].keys() & values.keys():
        odd += differences(schema["properties"][key], values[key], f"{where}{key}.")
    return odd


def test_the_schema_has_exactly_the_keys_of_the_values() -> None:
    assert differences(SCHEMA, VALUES) == []


def objects(schema: dict[str, Any], where: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = [(where, schema)]
    for key, below in schema.get("properties", {}).items():
        found += objects(below, f"{where}.{key}" if where else key)
    return found


def test_every_value_is_described_in_whole_sentences() -> None:
    descriptions = {where: schema["description"] for where, schema in objects(SCHEMA) if where}
    sentence = re.compile(r"\S+ \S+.*\.")
    assert [where for where, text in descriptions.items() if not sentence.fullmatch(text)] == []


def test_unknown_keys_are_refused_except_in_structures_of_kubernetes() -> None:
    # Structures of Kubernetes, and the values of a parent chart.
    allowed = {"global", "autoscaling.behavior", "podSecurityContext", "securityContext", "affinity"}
    closed = [where for where, schema in objects(SCHEMA) if schema.get("additionalProperties") is True]
    assert {where for where in closed if not where.startswith("autoscaling.behavior.")} == allowed


def test_the_settings_have_the_defaults_and_bounds_of_the_service() -> None:
    # The chart sets these through `model` and through a Secret.
    elsewhere = {"model_tag", "runtime", "api_keys"}
    # The service's defaults for these depend on the machine. This is what they are in a pod.
    in_a_pod = {"threads": 0, "drain_delay": 5}
    # A gateway leads to the pods, so the chart has a port that it doesn't reach. Empty lists are left out.
    in_the_chart = {"management_port": 3001, "cors_origins": "", "disabled_routes": ""}
    for name, setting in Settings.model_fields.items():
        if name in elsewhere:
            continue
        first, *rest = name.split("_")
        key = first + "".join(word.capitalize() for word in rest)
        assert VALUES["settings"][key] == (in_a_pod | in_the_chart).get(name, setting.default), name
        bounds = SCHEMA["properties"]["settings"]["properties"][key]
        for rule in setting.metadata:
            for ours, theirs in (("ge", "minimum"), ("le", "maximum"), ("gt", "exclusiveMinimum")):
                # 0 means that the chart doesn't set it.
                if hasattr(rule, ours) and (name, ours) not in {("threads", "ge"), ("management_port", "ge")}:
                    assert bounds[theirs] == getattr(rule, ours), name
    assert len(VALUES["settings"]) == len(Settings.model_fields) - len(elsewhere)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replicaCount": "two"}, ["replicaCount", "string", "integer"]),
        ({"replicaCounts": 2}, ["replicaCounts", "not allowed"]),
        ({"image.pullPolicy": "Sometimes"}, ["image/pullPolicy", "Always", "IfNotPresent", "Never"]),
        ({"image.digest": "abc"}, ["image/digest", "sha256"]),
        ({"image.tag": "a b"}, ["image/tag"]),
        ({"model.source": "s3"}, ["model/source", "pvc"]),
        ({"model.url": {"location": "ftp://x"}}, ["model/url/location", "https"]),
        ({"settings.maxBatchSize": 0}, ["settings/maxBatchSize", "1"]),
        ({"settings.maxBatch": 8}, ["maxBatch", "not allowed"]),
        ({"settings.logLevel": "loud"}, ["settings/logLevel", "debug"]),
        ({"canary.weight": 101}, ["canary/weight", "100"]),
        ({"canary.image": {"tagg": "x"}}, ["canary/image", "tagg"]),
        ({"autoscaling.enabled": "yes"}, ["autoscaling/enabled", "boolean"]),
        ({"prometheusRule.latencySeconds": "0.3"}, ["prometheusRule/latencySeconds", "0.5"]),
        ({"podAnnotations": {"a": 1}}, ["podAnnotations/a", "string"]),
        ({"service.type": "Ingress"}, ["service/type", "LoadBalancer"]),
        ({"fullnameOverride": "x" * 60}, ["fullnameOverride", "52"]),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_what_is_allowed(values: dict[str, Any], words: list[str]) -> None:
    # Helm before 3.18 writes image.tag, later versions write /image/tag.
    message = refusal(values)
    message = message if "'/" in message else message.replace(".", "/")
    assert [word for word in words if word not in message] == [], message


def test_a_buffer_that_is_smaller_than_one_body_is_refused() -> None:
    message = refusal({"settings.maxBodyBytes": 300_000_000})
    assert "settings.maxBufferedBytes (268435456) must be at least settings.maxBodyBytes (300000000)" in message
