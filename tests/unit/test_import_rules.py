"""Who may import whom; ARCHITECTURE.md says why."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

OURS = {"bento", "imaging", "training", "image", "helm", "k8s", "loadtests", "cluster", "tests", "benchmarks"}
ALLOWED = {
    "imaging": set[str](),
    "training": {"imaging"},
    "bento": {"imaging"},
    "image": set(),
    "helm": set(),
    "k8s": set(),
    "loadtests": set(),
    "cluster": set(),
}
HEAVY = {"tensorflow", "keras", "onnxruntime", "onnx", "matplotlib", "optuna", "sklearn"}
# They subclass Keras' classes; `train` imports them inside functions.
HEAVY_MODULES = {
    "training/averaging.py",
    "training/batches.py",
    "training/convolution.py",
    "training/ensemble.py",
    "training/fit.py",
    "training/image_losses.py",
    "training/muon.py",
    "training/normalization.py",
    "training/schedules.py",
}


def imports(tree: ast.AST, *, top_level: bool = False) -> set[str]:
    nodes = tree.body if top_level and isinstance(tree, ast.Module) else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


def modules(package: str) -> list[Path]:
    return sorted(Path(package).rglob("*.py"))


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    for path in modules(package):
        ours = imports(ast.parse(path.read_text())) & OURS
        assert ours <= ALLOWED[package] | {package}, path


def test_imaging_needs_numpy_and_pillow_alone() -> None:
    for path in modules("imaging"):
        foreign = imports(ast.parse(path.read_text())) - sys.stdlib_module_names - {"imaging"}
        assert foreign <= {"numpy", "PIL"}, path


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    for path in modules("training") + modules("bento"):
        if path.as_posix() not in HEAVY_MODULES:
            assert not imports(ast.parse(path.read_text()), top_level=True) & HEAVY, path


def test_serving_never_names_tensorflow() -> None:
    for path in modules("bento") + modules("imaging"):
        assert "tensorflow" not in imports(ast.parse(path.read_text())), path
    assert "tensorflow" not in Path("bento/requirements.txt").read_text()


def test_locks_carry_hashes_and_name_no_registry() -> None:
    for lock in (Path("bento/requirements.txt"), *Path("requirements").glob("*.txt"), Path("image/sbom.txt")):
        text = lock.read_text()
        assert "://" not in text, lock
        pins = [line for line in text.splitlines() if "==" in line and not line.lstrip().startswith("#")]
        assert len(pins) >= 30
        assert all(line.endswith("\\") for line in pins), lock


def test_fetching_a_model_needs_the_standard_library_alone() -> None:
    for path in (Path("bento/fetch.py"), Path("bento/remote.py"), Path("bento/archive.py")):
        assert imports(ast.parse(path.read_text())) - sys.stdlib_module_names <= {"bento"}, path
