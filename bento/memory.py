"""Return the memory of large images to the kernel."""

from __future__ import annotations

import ctypes

# Parameters of mallopt, from malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

_LARGE = 4 << 20
"""Smallest block, in bytes, that gets a mapping of its own. Pillow keeps large images in larger blocks."""


def return_large_blocks() -> None:
    """Make malloc unmap each large block when it is freed.

    By default, glibc raises the threshold for mappings to the largest block freed so far, up to 32 MiB, and takes
    smaller blocks from heaps that rarely shrink. After one image of 49 megapixels the service kept 570 MB
    (tests/integration/bento/limits/test_bad_images.py checks that). Decoding a photo costs the same either way.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Other C libraries have no mallopt.
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE)
