"""What the cluster's mount namespace shows instead of the machine's own, so that daemons leave no trace there."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cluster.settings import Settings

# Daemons write to fixed places below these; it goes to memory instead. What is large goes to the home.
COVERED = ("/var/lib", "/var/log")
# The kubelet sets them for the whole machine; it gets files of its own to write to.
KERNEL = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")
KERNEL_KEYS = ("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes")


def create(settings: Settings) -> None:
    # Pods' mounts must be seen by the daemons; the namespace's own were made private when it was.
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
    # A home below one of them must still be the real one.
    _mount("--bind", str(home), str(settings.home))
    for name in (*KERNEL, *KERNEL_KEYS):
        real = Path("/proc/sys") / name
        own = Path("/run/sysctl") / name
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(real.read_text())
        _mount("--bind", str(own), str(real))


def memory(folder: Path) -> None:
    folder.mkdir(parents=True)
    _mount("-t", "tmpfs", "tmpfs", str(folder))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
