"""Valid images of unusual kinds: every mode, depth, orientation, profile, animation and shape."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

from tests.corpus.case import CORRUPT, RED, Answer, Case, chunk, encoded, jpeg_segments, noisy, png_of_rows, segment

_RED, _BLUE = noisy(), noisy((30, 30, 200))
# The modes of Pillow that each format can hold. In a grey image the channels are equal, and then the first class wins.
_MODES = {
    "JPEG": ["1", "L", "RGB", "RGBX", "CMYK", "YCbCr"],
    "PNG": ["1", "L", "LA", "I;16", "P", "RGB", "RGBA"],
    "WEBP": ["RGB", "RGBA"],
    "GIF": ["1", "L", "P", "RGB", "RGBA"],
    "BMP": ["1", "L", "P", "RGB", "RGBA"],
    "TIFF": ["1", "L", "LA", "I;16", "I;16B", "I", "F", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB"],
}


def _in_mode(mode: str) -> Image.Image:
    if mode == "LAB":
        transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        converted = ImageCms.applyTransform(_RED, transform)
        assert converted is not None
        return converted
    if mode == "PA":
        return _RED.convert("P").convert("PA")
    if mode.startswith("I;16"):
        return _RED.convert("L").convert("I").convert("I;16").convert(mode)
    return _RED.convert(mode)


def _inverted_cmyk() -> bytes:
    """Return a CMYK JPEG without Adobe's segment, with the inks stored inverted, as decoders then expect them."""
    inverted = Image.fromarray(255 - np.asarray(_RED.convert("CMYK")), "CMYK")
    segments, pixels = jpeg_segments(encoded(inverted, "JPEG", quality=95))
    return b"\xff\xd8" + b"".join(each for each in segments if each[1] != 0xEE) + pixels


def _floats(*values: float) -> bytes:
    return encoded(Image.fromarray(np.array(values, np.float32).reshape(1, -1)), "TIFF")


def _wide(*values: int) -> bytes:
    """Return a 32-bit TIFF."""
    return encoded(Image.fromarray(np.array(values, np.int32).reshape(1, -1)), "TIFF")


_DEPTHS: dict[str, bytes] = {
    "PNG of 1 bit": png_of_rows(b"\xaa", 8, 8, 1, 0),
    "PNG of 2 bits": png_of_rows(b"\xaa\xaa", 8, 8, 2, 0),
    "PNG of 4 bits": png_of_rows(b"\xaa" * 4, 8, 8, 4, 0),
    "PNG of 16 bits": png_of_rows(b"\x12\x34" * 8, 8, 8, 16, 0),
    "PNG of 16 bits and transparency": png_of_rows(b"\x12\x34\xff\xff" * 8, 8, 8, 16, 4),
    "PNG of 16 bits per channel": png_of_rows(b"\xc8\0\x1e\0\x1e\0" * 8, 8, 8, 16, 2),
    "PNG of 16 bits per channel and transparency": png_of_rows(b"\xc8\0\x1e\0\x1e\0\xff\xff" * 8, 8, 8, 16, 6),
    "TIFF of floats from 0 to 1": _floats(0, 0.5, 1),
    "TIFF of floats of any size": _floats(-1e30, 0, 1e30),
    "TIFF of equal floats": _floats(7, 7, 7),
    "TIFF of NaN and infinite floats": _floats(float("nan"), float("inf"), -float("inf"), 1),
    "TIFF of NaN alone": _floats(float("nan"), float("nan")),
    "TIFF of 32 bits": _wide(-(2**31), 0, 2**31 - 1),
    "CMYK JPEG without Adobe's segment": _inverted_cmyk(),
}


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def _in_jpeg(*segments: bytes) -> bytes:
    data = encoded(_RED, "JPEG")
    return data[:2] + b"".join(segments) + data[2:]


_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
_NOTES: dict[str, bytes] = {
    **{f"JPEG of orientation {n}": encoded(_RED, "JPEG", exif=_exif(n)) for n in (*range(10), 65535)},
    **{f"PNG of orientation {n}": encoded(_RED, "PNG", exif=_exif(n)) for n in range(1, 9)},
    **{f"WebP of orientation {n}": encoded(_RED, "WEBP", exif=_exif(n)) for n in range(1, 9)},
    "JPEG with EXIF that points outside": _in_jpeg(segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff")),
    "JPEG with EXIF that points at itself": _in_jpeg(segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\x08\0\0\0")),
    "JPEG with empty EXIF": _in_jpeg(segment(0xE1, b"Exif\0\0")),
    "JPEG with two EXIF blocks": _in_jpeg(segment(0xE1, _exif(6)), segment(0xE1, _exif(3))),
    "JPEG with a text as its orientation": _in_jpeg(
        segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 0x0112, 2, 2, 0x41) + bytes(4))
    ),
    "JPEG with a profile": encoded(_RED, "JPEG", icc_profile=_PROFILE),
    "JPEG with a broken profile": encoded(_RED, "JPEG", icc_profile=b"junk" * 100),
    "JPEG with a profile of 2 MiB": encoded(_RED, "JPEG", icc_profile=bytes(2 << 20)),
    "JPEG with only the second half of a profile": _in_jpeg(segment(0xE2, b"ICC_PROFILE\0\2\2" + _PROFILE)),
    "PNG with a profile": encoded(_RED, "PNG", icc_profile=_PROFILE),
    "WebP with a broken profile": encoded(_RED, "WEBP", icc_profile=b"junk" * 100),
    "JPEG with 200 comments": _in_jpeg(*[segment(0xFE, b"x" * 60_000)] * 200),
}


def _animation(format_: str, **options: object) -> bytes:
    return encoded(_RED, format_, save_all=True, append_images=[_BLUE] * 3, **options)


def _frames(format_: str, count: int) -> Callable[[], bytes]:
    """Return a function that builds an animation of `count` different frames, the first one red."""

    def build() -> bytes:
        frames = [Image.new("RGB", (16, 16), (30, 30, 100 + i % 150)) for i in range(count - 1)]
        out = io.BytesIO()
        Image.new("RGB", (16, 16), (200, 30, 30)).save(out, format_, save_all=True, append_images=frames)
        return out.getvalue()

    return build


_ANIMATIONS: dict[str, bytes | Callable[[], bytes]] = {
    "animated GIF": _animation("GIF"),
    "animated WebP": _animation("WEBP"),
    "animated PNG": _animation("PNG"),
    "PNG with another picture before its animation": _animation("PNG", default_image=True),
    "TIFF of pages": _animation("TIFF"),
    "GIF of 2,000 frames": _frames("GIF", 2000),
    "PNG of 500 frames": _frames("PNG", 500),
    "WebP of 200 frames": _frames("WEBP", 200),
    "TIFF of 1,000 pages": _frames("TIFF", 1000),
    "GIF whose second frame is broken": _animation("GIF")[:-200],
}

_SHAPES = [(1, 1), (1, 2), (2, 1), (7, 7), (9, 9), (1, 5000), (5000, 1)]
_LONG = [("JPEG", 65500), ("PNG", 65500), ("BMP", 65500), ("TIFF", 65500), ("GIF", 65500), ("WEBP", 16383)]


def _plain(format_: str, width: int, height: int) -> Callable[[], bytes]:
    return lambda: encoded(Image.new("RGB", (width, height), (200, 30, 30)), format_)


def _odd() -> dict[str, tuple[bytes, Answer]]:
    """Return slightly invalid images with their answers."""
    return {
        "PNG whose animation declares 0 frames": (_with_animation(0), RED),
        "PNG whose animation declares 2 ** 31 frames": (_with_animation(2**31), RED),
        "PNG whose animation has a truncated header": (_with_animation(None), CORRUPT),
    }


def _with_animation(frames: int | None) -> bytes:
    data = encoded(_RED, "PNG")
    control = chunk(b"acTL", b"" if frames is None else struct.pack(">II", frames, 0))
    return data[:33] + control + data[33:]


def cases() -> list[Case]:
    """Return all cases."""
    return [
        *(
            Case(f"{format_} of mode {mode}", encoded(_in_mode(mode), format_), RED)
            for format_, modes in _MODES.items()
            for mode in modes
        ),
        *(Case(name, body, RED) for name, body in (_DEPTHS | _NOTES | _ANIMATIONS).items()),
        *(Case(f"PNG of {w} x {h}", _plain("PNG", w, h), RED) for w, h in _SHAPES),
        *(Case(f"{format_} of 1 x {long}", _plain(format_, 1, long), RED) for format_, long in _LONG),
        *(Case(f"{format_} of {long} x 1", _plain(format_, long, 1), RED) for format_, long in _LONG),
        *(Case(name, body, answer) for name, (body, answer) in _odd().items()),
    ]
