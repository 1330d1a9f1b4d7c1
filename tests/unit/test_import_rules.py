"""Who may import whom; ARCHITECTURE.md says why."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES: dict[str, set[str]] = {
    "imaging": set(),
    "training": {"imaging"},
    "bento": {"imaging"},
    "containers": set(),
    "helm": set(),
    "k8s": set(),
    "loadtests": set(),
    "cluster": set(),
}
"""Each package, and the others of ours that it may import."""

OURS = {*PACKAGES, "tests", "benchmarks"}

ROOMS: dict[str, dict[str, set[str]]] = {
    "training": {
        "ground": set(),
        "data": set(),
        "input": {"data"},
        "network": set(),
        "distributed": set(),
        "loop": {"network", "input", "distributed"},
        "export": {"data"},
        "report": {"data", "input"},
        "checks": {"data", "input", "network", "report"},
        "train": {"data", "input", "network", "distributed", "loop", "export", "report", "checks"},
        "evaluation": {"data", "export", "report"},
        "tune": {"data", "input", "network", "loop", "report", "train"},
        "top": {"distributed", "report", "checks", "train", "evaluation", "tune"},
    },
    "bento": {
        "ground": set(),
        "telemetry": set(),
        "models": {"telemetry"},
        "fetch": set(),
        "inference": {"models", "telemetry"},
        "lifecycle": {"telemetry"},
        "http": {"inference", "models", "telemetry", "lifecycle"},
        "top": {"http", "inference", "models", "telemetry"},
    },
    "k8s": {"ground": set(), "verbs": set(), "top": {"verbs"}},
}
"""Each room of a package, a folder or a single module, from the ground up, and the others it may import.

All may import the ground."""

GROUND = {
    "training": {"backend", "config", "environment", "errors", "memory", "options", "progress", "recipes", "url"},
    "bento": {"cpus", "errors", "memory", "settings", "startup", "version"},
    "k8s": {path.stem for path in Path("k8s").glob("*.py")} - {"__init__", "__main__", "cli"},
}
"""The modules directly in a package that all of its rooms may import; the others are its top."""

HEAVY = {"tensorflow", "keras", "onnxruntime", "onnx", "matplotlib", "optuna", "sklearn"}
# They subclass Keras' classes; their users import them inside functions.
HEAVY_MODULES = {
    "training/input/batches.py",
    "training/loop/fit.py",
    "training/loop/image_losses.py",
    "training/loop/muon.py",
    "training/loop/schedules.py",
    "training/network/convolution.py",
    "training/network/normalization.py",
}


def modules(package: str) -> list[Path]:
    return sorted(Path(package).rglob("*.py"))


def imports(path: Path, *, top_level: bool = False) -> set[str]:
    """Return the full names of what a file imports: of `from a import b`, both `a` and `a.b`."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: name the package, no relative import"
            module = node.module or ""
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def packages(path: Path, *, top_level: bool = False) -> set[str]:
    return {name.partition(".")[0] for name in imports(path, top_level=top_level)}


def name_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imported_modules(package: str) -> dict[str, set[str]]:
    """Return, for each module of `package`, the other modules of it that it imports."""
    names = {name_of(path): path for path in modules(package)}
    graph = {}
    for name, path in names.items():
        found = imports(path) & set(names)
        # Of `from a import b` the module is `a.b`, where there is one; `a` is its folder then.
        graph[name] = {one for one in found - {name} if not any(other.startswith(f"{one}.") for other in found)}
    return graph


def room_of(module: str) -> str:
    package, _, rest = module.partition(".")
    room = rest.partition(".")[0]
    if room in ROOMS[package]:
        return room
    return "ground" if room in GROUND[package] else "top"


def circles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    """Yield a path from each module back to itself, if there is one."""
    for start in graph:
        paths = [[start]]
        seen: set[str] = set()
        while paths:
            path = paths.pop()
            for following in graph.get(path[-1], set()):
                if following == start:
                    yield [*path, start]
                elif following not in seen:
                    seen.add(following)
                    paths.append([*path, following])


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_packages_it_may(package: str) -> None:
    for path in modules(package):
        assert packages(path) & OURS <= PACKAGES[package] | {package}, path


@pytest.mark.parametrize("package", ROOMS)
def test_a_room_imports_only_the_rooms_below_it(package: str) -> None:
    for module, imported in imported_modules(package).items():
        room = room_of(module)
        allowed = ROOMS[package][room] | {room, "ground"}
        for other in imported:
            assert room_of(other) in allowed, f"{module} is in {room}; it must not import {other}"


@pytest.mark.parametrize("package", ROOMS)
def test_every_module_stands_in_a_room_that_is_listed(package: str) -> None:
    folders = {path.parent.relative_to(package).parts[0] for path in modules(package) if path.parent != Path(package)}
    files = {path.stem for path in Path(package).glob("*.py")}
    rooms = set(ROOMS[package]) - {"ground", "top"}
    assert folders <= rooms <= folders | files
    assert GROUND[package] <= files


@pytest.mark.parametrize("package", [*PACKAGES, "benchmarks"])
def test_no_module_imports_itself_by_way_of_others(package: str) -> None:
    assert next(circles(imported_modules(package)), None) is None


def test_a_circle_is_found() -> None:
    assert next(circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}), None) in (["b", "c", "b"], ["c", "b", "c"])
    assert next(circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}), None) is None


def test_imaging_needs_numpy_and_pillow_alone() -> None:
    for path in modules("imaging"):
        assert packages(path) - sys.stdlib_module_names - {"imaging"} <= {"numpy", "PIL"}, path


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    for path in modules("training") + modules("bento"):
        if path.as_posix() not in HEAVY_MODULES:
            assert not packages(path, top_level=True) & HEAVY, path


def test_every_exception_from_that_rule_is_needed() -> None:
    assert all(packages(Path(module), top_level=True) & HEAVY for module in HEAVY_MODULES)


def test_serving_never_names_tensorflow() -> None:
    for path in modules("bento") + modules("imaging"):
        assert "tensorflow" not in packages(path), path
    assert "tensorflow" not in Path("bento/requirements.txt").read_text()


def test_locks_carry_hashes_and_name_no_registry() -> None:
    for lock in (Path("bento/requirements.txt"), *Path("requirements").glob("*.txt"), Path("containers/sbom.txt")):
        text = lock.read_text()
        assert "://" not in text, lock
        pins = [line for line in text.splitlines() if "==" in line and not line.lstrip().startswith("#")]
        assert len(pins) >= 30
        assert all(line.endswith("\\") for line in pins), lock


def test_fetching_a_model_needs_the_standard_library_alone() -> None:
    for path in modules("bento/fetch"):
        assert packages(path) - sys.stdlib_module_names <= {"bento"}, path
        assert all(name.startswith("bento.fetch") for name in imports(path) if name.startswith("bento.")), path
