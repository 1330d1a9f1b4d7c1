"""Who may import whom; ARCHITECTURE.md says why."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES: dict[str, set[str]] = {
    "imaging": set(),
    "model_format": set(),
    "commandline": set(),
    "training": {"imaging", "model_format", "commandline"},
    "bento": {"imaging", "model_format"},
    "containers": {"commandline"},
    "helm": {"model_format"},
    "k8s": {"model_format", "commandline"},
    "loadtests": set(),
    "cluster": {"commandline"},
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
        "forms": set(),
        "features": {"data", "network", "forms"},
        "loop": {"data", "features", "network", "input", "distributed"},
        "report": {"data", "input", "network", "loop"},
        "export": {"data", "forms", "report"},
        "checks": {"data", "input", "network", "report"},
        "choice": {"data", "input", "features", "forms", "network", "distributed", "loop", "report"},
        "steps": {"data", "input", "network", "distributed", "loop", "export", "report", "checks", "choice"},
        "evaluation": {"data", "export", "forms", "report"},
        "tune": {"data", "input", "network", "loop", "report", "steps"},
        "top": {"distributed", "report", "checks", "steps", "evaluation", "tune"},
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
    "bento.http": {
        "ground": set(),
        "connection": set(),
        "bodies": set(),
        "pages": set(),
        "handlers": {"bodies", "pages"},
        "routes": {"handlers"},
        "top": {"connection", "pages", "handlers", "routes"},
    },
    "k8s": {
        "ground": set(),
        "pods": set(),
        "checks": {"pods"},
        "releases": {"pods", "checks"},
        "options": {"pods", "checks", "releases"},
        "jobs": {"pods", "options"},
        "verbs": {"pods", "checks", "releases", "options", "jobs"},
        "top": {"options", "verbs"},
    },
    "cluster": {
        "ground": set(),
        "namespaces": set(),
        "images": {"namespaces"},
        "kubernetes": {"images", "namespaces"},
        "addons": {"images", "namespaces"},
        "top": {"addons", "images", "kubernetes", "namespaces"},
    },
}
"""Each room of a package or of a room, a folder or a single module, from the ground up, and the others it may import.

All may import the ground."""

GROUND = {
    "training": {
        "backend",
        "config",
        "environment",
        "errors",
        "fields",
        "folders",
        "memory",
        "options",
        "progress",
        "recipes",
        "store",
        "url",
    },
    "bento": {"cpus", "errors", "memory", "settings", "startup", "version"},
    "bento.http": {"cors", "keys", "request", "schemas"},
    "k8s": {"cluster", "errors", "images"},
    "cluster": {"errors", "settings", "tools"},
}
"""The modules directly in a package that all of its rooms may import; the others are its top."""

SPELLED = r"""model\.onnx\b|model-int8|model\.keras\b|golden\.json|limits\.json|["'/]golden["'/]"""
"""Names of files in a store entry, which only `model_format` may spell."""

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


def folder_of(package: str) -> Path:
    return Path(*package.split("."))


def modules(package: str) -> list[Path]:
    return sorted(folder_of(package).rglob("*.py"))


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


def room_of(package: str, module: str) -> str:
    room = module.removeprefix(f"{package}.").partition(".")[0]
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


def test_the_training_image_and_the_bento_hold_the_packages_that_they_import() -> None:
    job_image, recipe = Path("containers/job-image").read_text(), Path("containers/training.Containerfile").read_text()
    line = re.search(r"training\) packages=\(([^)]*)\)", job_image)
    assert line
    assert set(line[1].split()) == PACKAGES["training"] | {"training"}
    assert set(re.findall(r"^COPY (\w+) ", recipe, re.M)) == PACKAGES["training"] | {"training"}
    included = re.findall(r'^  - "(\w+)/\*\*"', Path("bentofile.yaml").read_text(), re.M)
    assert set(included) == PACKAGES["bento"] | {"bento"}


@pytest.mark.parametrize("package", ROOMS)
def test_a_room_imports_only_the_rooms_below_it(package: str) -> None:
    for module, imported in imported_modules(package).items():
        room = room_of(package, module)
        allowed = ROOMS[package][room] | {room, "ground"}
        for other in imported:
            assert room_of(package, other) in allowed, f"{module} is in {room}; it must not import {other}"


@pytest.mark.parametrize("package", ROOMS)
def test_every_module_stands_in_a_room_that_is_listed(package: str) -> None:
    root = folder_of(package)
    folders = {path.parent.relative_to(root).parts[0] for path in modules(package) if path.parent != root}
    files = {path.stem for path in root.glob("*.py")}
    rooms = set(ROOMS[package]) - {"ground", "top"}
    assert folders <= rooms <= folders | files
    assert GROUND[package] <= files


@pytest.mark.parametrize("package", [*PACKAGES, "benchmarks"])
def test_no_module_imports_itself_by_way_of_others(package: str) -> None:
    assert next(circles(imported_modules(package)), None) is None


def test_no_verb_imports_another() -> None:
    graph = imported_modules("k8s")
    verbs = {name for name in graph if name.startswith("k8s.verbs.")}
    assert verbs, "k8s/verbs has no module"
    for verb in verbs:
        assert not graph[verb] & verbs, f"{verb}: what verbs share stands in a room below k8s/verbs"


def test_a_circle_is_found() -> None:
    assert next(circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}), None) in (["b", "c", "b"], ["c", "b", "c"])
    assert next(circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}), None) is None


def test_imaging_needs_numpy_and_pillow_alone() -> None:
    optional = {"pillow_heif"}
    for path in modules("imaging"):
        assert packages(path) - sys.stdlib_module_names - {"imaging"} - optional <= {"numpy", "PIL"}, path


def test_command_lines_need_the_standard_library_alone() -> None:
    for path in modules("commandline"):
        assert packages(path) - sys.stdlib_module_names <= {"commandline"}, path


def test_the_format_of_models_needs_the_standard_library_alone() -> None:
    for path in modules("model_format"):
        assert packages(path) - sys.stdlib_module_names <= {"model_format"}, path


def spells_the_format(path: Path) -> bool:
    return re.search(SPELLED, path.read_text(encoding="utf-8", errors="ignore")) is not None


def test_only_the_format_of_models_spells_the_names_of_its_files() -> None:
    folders = [*OURS - {"model_format"}, "scripts", ".ci"]
    files = [path for folder in folders for path in Path(folder).rglob("*") if path.is_file()]
    # A test spells the name that it expects.
    code = [path for path in files if path.suffix not in (".md", ".pyc") and not path.name.startswith("test_")]
    assert len(code) > 300
    stored = Path("tests/entries")
    assert [path for path in code if stored not in path.parents and spells_the_format(path)] == []
    assert spells_the_format(Path("model_format/layout.py"))


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
        assert packages(path) - sys.stdlib_module_names <= {"bento", "model_format"}, path
        assert all(name.startswith("bento.fetch") for name in imports(path) if name.startswith("bento.")), path
