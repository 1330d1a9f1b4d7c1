"""Take snapshots of everything that a cluster could leave behind on this machine, to compare them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

# The daemons would write here if these places weren't covered.
PLACES = (
    *(
        "/var/lib/kubelet",
        "/var/lib/cni",
        "/var/lib/containerd",
        "/var/lib/etcd",
        "/var/log/pods",
        "/var/log/containers",
    ),
    *("/run/containerd", "/run/netns", "/run/xtables.lock", "/run/kubernetes", "/etc/cni/net.d", "/etc/kubernetes"),
    *("/usr/libexec/kubernetes", "/default.etcd", "/tmp/hostpath_pv", "/opt/cni"),
)
# The kubelet and kube-proxy set these.
KERNEL = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")


def traces(home: Path) -> dict[str, set[str]]:
    mounts = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return {
        "mounts": {mount for mount in mounts if str(home) in mount or "netns" in mount or "/sys/" in mount},
        "interfaces": {entry.name for entry in Path("/sys/class/net").iterdir()},
        "control groups": {str(path) for path in Path("/sys/fs/cgroup").glob("**/image-classifier-*")},
        "places": {place for place in PLACES if Path(place).exists()},
        "kernel": {f"{name}={(Path('/proc/sys') / name).read_text().strip()}" for name in KERNEL},
        "rules": _rules(),
        "processes": processes(home),
        "state": {str(path) for path in (home / "run").glob("*")},
    }


def processes(home: Path) -> set[str]:
    """Return the processes, in any namespace, that were started with this home in their environment."""
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


def _rules() -> set[str]:
    saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    return {re.sub(r"\[\d+:\d+\]", "", line) for line in saved.splitlines() if not line.startswith("#")}
