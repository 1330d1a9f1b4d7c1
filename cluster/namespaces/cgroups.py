"""Create and remove the control groups of the nodes' pods, on hierarchies of version 1 and 2. Touch no other group."""

from __future__ import annotations

import time
from pathlib import Path

from cluster.errors import ClusterError
from cluster.settings import NODES, Settings

ROOT = Path("/sys/fs/cgroup")


def create(settings: Settings) -> None:
    for hierarchy in _hierarchies():
        group = hierarchy
        for part in (settings.cgroup, *(f"{settings.cgroup}/{node.name}" for node in NODES)):
            group = hierarchy / part
            group.mkdir(exist_ok=True)
            if (group / "cpuset.cpus").exists() and not (hierarchy / "cgroup.controllers").exists():
                # No process can enter a new cpuset of version 1 until it has processors and memory.
                for name in ("cpuset.cpus", "cpuset.mems"):
                    (group / name).write_text((group.parent / name).read_text())
        if (hierarchy / "cgroup.controllers").exists():
            _delegate(hierarchy, settings.cgroup)


def remove(settings: Settings, patience: float = 20.0) -> None:
    """Remove the groups once their last processes have left.

    Raises:
        ClusterError: processes are still there after `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while left := [group for group in _our_groups(settings) if not _try_to_remove(group)]:
        if time.monotonic() > deadline:
            raise ClusterError(f"processes are left in {left[0]}; end those listed in its cgroup.procs and try again")
        time.sleep(0.05)


def _hierarchies() -> list[Path]:
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    # On a hybrid machine, `unified` stands beside the hierarchies of version 1, without controllers.
    return sorted({path.resolve() for path in ROOT.iterdir() if path.is_dir()})


def _delegate(hierarchy: Path, group: str) -> None:
    for folder in (hierarchy, hierarchy / group):
        controllers = (folder / "cgroup.controllers").read_text().split()
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in controllers))


def _our_groups(settings: Settings) -> list[Path]:
    groups: list[Path] = []
    for hierarchy in _hierarchies():
        top = hierarchy / settings.cgroup
        if top.is_dir():
            groups += [top, *(path for path in top.rglob("*") if path.is_dir())]
    return sorted(groups, key=lambda path: -len(path.parts))


def _try_to_remove(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
