"""The control groups that the nodes' pods live under, on hierarchies of version 1 and 2. Touches no other group."""

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
                # A new cpuset of version 1 is empty, and no process can enter it.
                for name in ("cpuset.cpus", "cpuset.mems"):
                    (group / name).write_text((group.parent / name).read_text())
        if (hierarchy / "cgroup.controllers").exists():
            _delegate(hierarchy, settings.cgroup)


def remove(settings: Settings, patience: float = 20.0) -> None:
    """Waits for the last processes to leave. Raises ClusterError when they don't."""
    deadline = time.monotonic() + patience
    while left := [group for group in _ours(settings) if not _removed(group)]:
        if time.monotonic() > deadline:
            raise ClusterError(f"processes are left in {left[0]}; end those of its cgroup.procs and try again")
        time.sleep(0.05)


def _hierarchies() -> list[Path]:
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    # `unified` stands beside those of version 1 on a hybrid machine, without controllers.
    return sorted({path.resolve() for path in ROOT.iterdir() if path.is_dir()})


def _delegate(hierarchy: Path, group: str) -> None:
    for folder in (hierarchy, hierarchy / group):
        controllers = (folder / "cgroup.controllers").read_text().split()
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in controllers))


def _ours(settings: Settings) -> list[Path]:
    groups: list[Path] = []
    for hierarchy in _hierarchies():
        top = hierarchy / settings.cgroup
        if top.is_dir():
            groups += [top, *(path for path in top.rglob("*") if path.is_dir())]
    return sorted(groups, key=lambda path: -len(path.parts))


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
