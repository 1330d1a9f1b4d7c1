"""Keep the memory of a step for the next one."""

from __future__ import annotations

import ctypes

# The numbers of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def keep_freed_blocks() -> None:
    """Have malloc keep what is freed, for the whole process.

    Left to itself, glibc maps each block of more than 32 MiB anew, as a batch's feature maps are, and gives the ends of
    its heaps back to the kernel, of which each thread has some. The next step asks for the same again, and the kernel
    clears it page by page: `python -m benchmarks.allocation` says what that costs.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Another C library has another malloc.
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
        mallopt(_M_ARENA_MAX, 1)
