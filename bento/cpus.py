"""Find the number of CPUs that this process may use: the container's limit, not the host's cores."""

from __future__ import annotations

import math
import os
from pathlib import Path


def available_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the CPU limit rounded up, at least 1.

    The limit is the smaller of the scheduling affinity and the cgroup's quota, which is `cpu.max` in version 2 and the
    pair of `cpu.cfs_*_us` in version 1. `os.cpu_count` and ONNX Runtime ignore the quota.
    """
    affinity = len(os.sched_getaffinity(0))
    quota = _quota_v2(cgroup) or _quota_v1(cgroup)
    return max(1, min(affinity, math.ceil(quota))) if quota else affinity


def _quota_v2(cgroup: Path) -> float | None:
    words = _words(cgroup / "cpu.max")
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0] != "max" else None


def _quota_v1(cgroup: Path) -> float | None:
    quota, period = _words(cgroup / "cpu/cpu.cfs_quota_us"), _words(cgroup / "cpu/cpu.cfs_period_us")
    return int(quota[0]) / int(period[0]) if quota and period and int(quota[0]) > 0 else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
