"""Images truncated at every 5% of their length."""

from __future__ import annotations

from tests.corpus.case import CORRUPT, FORMATS, RED, UNSUPPORTED, Case, encoded, noisy


def _sources() -> dict[str, bytes]:
    sources = {format_: encoded(noisy(), format_) for format_ in FORMATS}
    sources["progressive JPEG"] = encoded(noisy(), "JPEG", progressive=True)
    sources["interlaced GIF"] = encoded(noisy(), "GIF", interlace=1)
    sources["lossless WEBP"] = encoded(noisy(), "WEBP", lossless=True)
    sources["LZW TIFF"] = encoded(noisy(), "TIFF", compression="tiff_lzw")
    sources["JPEG TIFF"] = encoded(noisy(), "TIFF", compression="jpeg")
    return sources


# Percentages at which the image itself is complete, and only bytes after it are missing.
_WHOLE: dict[str, set[int]] = {}


def cases() -> list[Case]:
    """Return all cases."""
    return [
        Case(
            f"{name} cut at {percent}%",
            data[: len(data) * percent // 100],
            UNSUPPORTED if percent == 0 else RED if percent in _WHOLE.get(name, ()) else CORRUPT,
        )
        for name, data in _sources().items()
        for percent in range(0, 100, 5)
    ]
