"""Cover parts of the machine's file system in the cluster's mount namespace, so that daemons leave no trace on it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cluster.settings import Settings

# Daemons write to fixed paths below these folders. Such writes go to memory; large files go to the home.
COVERED = ("/var/lib", "/var/log")
# The kubelet would set these for the whole machine, so it gets its own copies to write to.
KERNEL = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")
KERNEL_KEYS = ("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes")


def create(settings: Settings) -> None:
    # The daemons must see pods' mounts, but a new namespace starts with private ones.
    _mount("--make-rshared", "/")
    _mount("-t", "tmpfs", "tmpfs", "/run", "-o", "mode=755")
    home = Path("/run/home")
    home.mkdir()
    _mount("--bind", str(settings.home), str(home))
    for folder in COVERED:
        memory = Path("/run") / folder.replace("/", "-").strip("-")
        for part in ("upper", "work"):
            (memory / part).mkdir(parents=True)
        options = f"lowerdir={folder},upperdir={memory}/upper,workdir={memory}/work"
        _mount("-t", "overlay", "overlay", folder, "-o", options)
    # If the home is below a covered folder, show the real home there.
    _mount("--bind", str(home), str(settings.home))
    for name in (*KERNEL, *KERNEL_KEYS):
        real = Path("/proc/sys") / name
        own = Path("/run/sysctl") / name
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(real.read_text())
        _mount("--bind", str(own), str(real))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
