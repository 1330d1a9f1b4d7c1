"""Keep the memory of a training step for the next step."""

from __future__ import annotations

import ctypes

# The numbers of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def keep_freed_blocks() -> None:
    """Make malloc keep freed memory, for the whole process.

    By default glibc maps a new block for each allocation above 32 MiB, such as a batch's feature maps, and returns the
    ends of its heaps to the kernel. The next step requests the same memory, and the kernel clears it page by page.
    `python -m benchmarks.allocation` measures the cost.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Other C libraries don't have it.
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
        mallopt(_M_ARENA_MAX, 1)
