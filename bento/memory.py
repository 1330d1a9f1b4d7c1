"""Give the memory of large images back to the kernel."""

from __future__ import annotations

import ctypes

# The numbers of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

_LARGE = 4 << 20
"""Bytes from which on a block is mapped by itself: less than the pieces in which Pillow keeps large images."""


def return_large_blocks() -> None:
    """Have malloc unmap each large block once it is freed.

    Left to itself, glibc raises the size that it maps to that of the largest block freed so far, 32 MiB at most, and
    takes all others from heaps that hardly ever shrink: after one image of 49 megapixels the service kept 570 MB more
    (tests/integration/bento/test_bad_images.py looks). Decoding a photo costs the same either way.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Another C library has another malloc.
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE)
