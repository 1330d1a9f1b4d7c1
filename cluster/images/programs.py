"""Make images of the programs that the cluster's own pods run, and import them into each node once."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cluster.errors import ClusterError
from cluster.images import archive
from cluster.namespaces import enter
from cluster.settings import NODES, Node, Settings

# `pause` holds a pod's namespaces open.
PROGRAMS = ("pause", "coredns", "metrics-server", "contour", "envoy")
NOBODY = "65534:65534"


def name(settings: Settings, program: str) -> str:
    """Return the image's name. Each build of a program gets its own, so an older image is never used in its place."""
    built = _program(settings, program).resolve()
    key = hashlib.sha256(f"{built}{built.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    return f"cluster.local/{program}:{key}"


def write(settings: Settings) -> None:
    """Write the archives that are missing, and remove those of older builds."""
    folder = settings.home / "images"
    folder.mkdir(exist_ok=True)
    wanted = {_archive(settings, program): program for program in PROGRAMS}
    for old in set(folder.iterdir()) - set(wanted):
        old.unlink()
    for path, program in wanted.items():
        if not path.exists():
            built = _program(settings, program)
            files = {f"/bin/{program}": built, **libraries(built)}
            entrypoint = [f"/bin/{program}", *(("-P",) if program == "pause" else ())]
            archive.write(path, name(settings, program), files, entrypoint=entrypoint, user=NOBODY)


def import_missing(settings: Settings) -> None:
    """Import into each node the images that it lacks. The nodes' containerd must be running."""
    imports = []
    for node in NODES:
        present = _remove_pulled(settings, node)
        missing = [program for program in PROGRAMS if name(settings, program) not in present]
        imports += [enter.start(settings, _import(_archive(settings, program)), node=node) for program in missing]
    _finish(imports)


def _remove_pulled(settings: Settings, node: Node) -> set[str]:
    """Remove images pulled from an earlier cluster's registry, which would pile up. Return the names that are left."""
    lines = enter.run(settings, ["ctr", "-n", "k8s.io", "images", "ls"], node=node).splitlines()[1:]
    digests = {name: digest for name, _, digest, *_ in map(str.split, lines)}
    pulled = {digest for name, digest in digests.items() if name.startswith(f"{settings.registry}/")}
    # containerd adds names of its own to such an image; any name left would keep the image.
    names = [name for name, digest in digests.items() if digest in pulled]
    if names:
        enter.run(settings, ["ctr", "-n", "k8s.io", "images", "rm", *names], node=node)
    return digests.keys() - names


def load(settings: Settings, archives: Sequence[Path]) -> None:
    """Import images from archives into every node.

    Raises:
        ClusterError: an archive isn't an image.
    """
    _finish([enter.start(settings, _import(path), node=node) for path in archives for node in NODES])


def _finish(imports: Sequence[subprocess.Popen[str]]) -> None:
    for process in imports:
        _, message = process.communicate()
        if process.returncode:
            raise ClusterError(f"an image can't be imported: {message.strip().splitlines()[-1]}")


def _import(path: Path) -> list[str]:
    return ["ctr", "-n", "k8s.io", "images", "import", str(path)]


def _archive(settings: Settings, program: str) -> Path:
    return settings.home / "images" / (name(settings, program).rpartition("/")[2].replace(":", "-") + ".tar")


def _program(settings: Settings, program: str) -> Path:
    return settings.bin / program


def libraries(program: Path) -> dict[str, Path]:
    """Return the shared libraries that a program loads, by the paths where it looks for them; a Go program has none."""
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return {path: Path(path) for path in re.findall(r"(/\S+) \(0x", linked)}
