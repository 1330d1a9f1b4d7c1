"""The images of the cluster's own pods: made of the programs that were built, imported into each node once."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cluster import archive, enter
from cluster.errors import ClusterError
from cluster.settings import NODES, Node, Settings

# `pause` keeps a pod's namespaces for it.
PROGRAMS = ("pause", "coredns", "metrics-server", "contour", "envoy")
NOBODY = "65534:65534"


def name(settings: Settings, program: str) -> str:
    """Tells one build of a program from another, so that an old image is never taken for it."""
    built = _program(settings, program).resolve()
    key = hashlib.sha256(f"{built}{built.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    return f"cluster.local/{program}:{key}"


def write(settings: Settings) -> None:
    """Archives of those that aren't there yet."""
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


def bring(settings: Settings) -> None:
    """Imports into each node what it doesn't have. The nodes' containerd must be up."""
    imports = []
    for node in NODES:
        present = _forget_pulled(settings, node)
        missing = [program for program in PROGRAMS if name(settings, program) not in present]
        imports += [enter.start(settings, _import(_archive(settings, program)), node=node) for program in missing]
    _finish(imports)


def _forget_pulled(settings: Settings, node: Node) -> set[str]:
    """Removes what an earlier cluster's registry held: it is gone, and each run would add to it. Returns the rest."""
    lines = enter.run(settings, ["ctr", "-n", "k8s.io", "images", "ls"], node=node).splitlines()[1:]
    digests = {name: digest for name, _, digest, *_ in map(str.split, lines)}
    pulled = {digest for name, digest in digests.items() if name.startswith(f"{settings.registry}/")}
    # The same image has names of its own making too, by which it would stay.
    names = [name for name, digest in digests.items() if digest in pulled]
    if names:
        enter.run(settings, ["ctr", "-n", "k8s.io", "images", "rm", *names], node=node)
    return digests.keys() - names


def load(settings: Settings, archives: Sequence[Path]) -> None:
    """Imports images from archives into every node. Raises ClusterError when one isn't an image."""
    _finish([enter.start(settings, _import(path), node=node) for path in archives for node in NODES])


def _finish(imports: Sequence[subprocess.Popen[str]]) -> None:
    for process in imports:
        _, message = process.communicate()
        if process.returncode:
            raise ClusterError(f"an image wasn't imported: {message.strip().splitlines()[-1]}")


def _import(path: Path) -> list[str]:
    return ["ctr", "-n", "k8s.io", "images", "import", str(path)]


def _archive(settings: Settings, program: str) -> Path:
    return settings.home / "images" / (name(settings, program).rpartition("/")[2].replace(":", "-") + ".tar")


def _program(settings: Settings, program: str) -> Path:
    return settings.bin / program


def libraries(program: Path) -> dict[str, Path]:
    """What the program is linked with, at the places it looks for it. Those built by Go need none."""
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return {path: Path(path) for path in re.findall(r"(/\S+) \(0x", linked)}
