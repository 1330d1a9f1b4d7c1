"""What a cluster could leave behind on this machine, taken as a snapshot to compare with another."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

FOLDERS = ("/run", "/run/netns", "/var/lib", "/var/lib/cni", "/var/log", "/etc", "/etc/cni", "/usr/libexec")
KERNEL = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")


def traces(home: Path) -> dict[str, set[str]]:
    """Mounts, interfaces, control groups, files at fixed places, kernel settings, and processes of the cluster."""
    return {
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "interfaces": {entry.name for entry in Path("/sys/class/net").iterdir()},
        "cgroups": {str(path) for path in Path("/sys/fs/cgroup").glob("**/image-classifier-*")},
        "files": {str(path) for folder in FOLDERS if Path(folder).is_dir() for path in Path(folder).iterdir()},
        "kernel": {f"{name}={(Path('/proc/sys') / name).read_text().strip()}" for name in KERNEL},
        "rules": set(_output("iptables-save").splitlines()),
        "processes": processes(home),
        "state": {str(path) for path in (home / "run").glob("*")},
    }


def processes(home: Path) -> set[str]:
    """Those that were started with this home in their environment, in whatever namespace they are."""
    mark = f"CLUSTER_HOME={home}\0".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes():
                found.add(f"{entry.name} {(entry / 'cmdline').read_bytes()[:80]!r}")
        except OSError:
            continue
    return found


def _output(command: str) -> str:
    done = subprocess.run([command], capture_output=True, text=True, check=False)
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("#"))
