"""What `helm template` prints is fit for people: nothing empty, nothing twice, nothing left of the templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.conftest import PROFILES, template
from tests.chart.manifests import Manifests, containers
from tests.chart.switches import SWITCHES

RENDERS = [*SWITCHES, *PROFILES]
# Empty means something there: all pods, anything, any address, or the core API group.
EMPTY_BY_INTENT = ("podSelector", "emptyDir", "group")


def render(name: str) -> Manifests:
    return template(SWITCHES[name]) if name in SWITCHES else template({}, name)


def empty(value: Any, where: str = "") -> Iterator[str]:
    """Yield the paths of keys that hold nothing."""
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
def test_no_object_variable_volume_or_mount_is_there_twice(name: str) -> None:
    # Labels, and all other keys of maps, are checked as the text is read.
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
def test_no_variable_is_set_both_by_the_pod_and_by_its_settings(name: str) -> None:
    release = render(name)
    assert release.env().keys() & release.settings.keys() == set()


@pytest.mark.parametrize("name", RENDERS)
def test_nothing_is_left_of_the_templates(name: str) -> None:
    text = render(name).text
    for leftover in ("<no value>", "%!", "map[", "e+0", "<nil>"):
        assert leftover not in text
    # Two or more empty lines in a row, or a line of blanks, between keys.
    assert "\n\n\n\n" not in text


@pytest.mark.parametrize("name", RENDERS)
def test_every_volume_that_is_mounted_is_there(name: str) -> None:
    for pod_name, pod in render(name).pod_specs():
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounted = {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
        assert mounted == volumes, pod_name
