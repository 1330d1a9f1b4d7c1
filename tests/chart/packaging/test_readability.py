"""The output of `helm template` has no empty keys, no duplicates and no template leftovers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.conftest import PROFILES, template
from tests.chart.manifests import Manifests, containers
from tests.chart.switches import SWITCHES

RENDERS = [*SWITCHES, *PROFILES]
# Keys whose empty value has a meaning: all pods, a default, or the core API group.
EMPTY_BY_INTENT = ("podSelector", "emptyDir", "group")


def render(name: str) -> Manifests:
    return template(SWITCHES[name]) if name in SWITCHES else template({}, name)


def empty(value: Any, where: str = "") -> Iterator[str]:
    """Yield the paths of keys with empty values."""
    if value in (None, "", [], {}):
        yield where
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from empty(below, f"{where}.{key}")
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from empty(below, f"{where}[{number}]")


@pytest.mark.parametrize("name", RENDERS)
def test_no_key_is_empty(name: str) -> None:
    found = [path for item in render(name).objects for path in empty(item, item["kind"])]
    found = [path for path in found if ".json" not in path]
    assert [path for path in found if path.split(".")[-1] not in EMPTY_BY_INTENT] == []


@pytest.mark.parametrize("name", RENDERS)
def test_no_object_variable_volume_or_mount_is_duplicated(name: str) -> None:
    # The parser already refuses duplicate keys of maps, such as labels.
    release = render(name)
    twice: list[str] = [name for name, count in Counter(release.names).items() if count > 1]
    for pod_name, pod in release.pod_specs():
        lists = {"volumes": [volume["name"] for volume in pod["volumes"]]}
        for container in containers(pod):
            lists[f"{container['name']} env"] = [variable["name"] for variable in container.get("env", [])]
            lists[f"{container['name']} mounts"] = [mount["mountPath"] for mount in container["volumeMounts"]]
        twice += [
            f"{pod_name} {what} {item}" for what, items in lists.items() for item, n in Counter(items).items() if n > 1
        ]
    assert twice == []


@pytest.mark.parametrize("name", RENDERS)
def test_no_variable_is_set_by_both_the_pod_and_the_config_map(name: str) -> None:
    release = render(name)
    assert release.env().keys() & release.settings.keys() == set()


@pytest.mark.parametrize("name", RENDERS)
def test_no_template_leftovers_are_rendered(name: str) -> None:
    text = render(name).text
    for leftover in ("<no value>", "%!", "map[", "e+0", "<nil>"):
        assert leftover not in text
    # Templates that trim too little leave several empty lines between keys.
    assert "\n\n\n\n" not in text


@pytest.mark.parametrize("name", RENDERS)
def test_volumes_and_mounts_match(name: str) -> None:
    for pod_name, pod in render(name).pod_specs():
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounted = {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
        assert mounted == volumes, pod_name
