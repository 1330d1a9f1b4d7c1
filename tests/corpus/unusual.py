"""Valid images of unusual kinds: every mode, depth, orientation, profile, animation and shape."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

from tests.corpus.case import RED, Case, chunk, directory, encoded, jpeg_segments, noisy, png_of_rows, segment

_RED, _BLUE = noisy(), noisy((30, 30, 200))
# The modes of Pillow that each format can hold. In a grey image the channels are equal, and then the first class wins.
_MODES = {
    "JPEG": ["1", "L", "RGB", "RGBX", "CMYK", "YCbCr"],
    "PNG": ["1", "L", "LA", "I;16", "P", "RGB", "RGBA"],
    "WEBP": ["RGB", "RGBA"],
    "AVIF": ["L", "RGB", "RGBA"],
    "HEIF": ["L", "RGB", "RGBA"],
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
    "PPM": b"P6\n2 1\n255\n" + b"\xc8\x1e\x1e" * 2,
    "PPM with comments": b"P6#a\r\n # b\n2 1 #c\n255\n" + b"\xc8\x1e\x1e" * 2,
    "PPM of 100 values": b"P6 2 1 100 " + b"\x4e\x0c\x0c" * 2,
    "PPM of 16 bits": b"P6 2 1 65535 " + b"\xc8\xc8\x1e\x1e\x1e\x1e" * 2,
    "PGM": b"P5 2 1 255 " + b"\x4e" * 2,
    "PGM of 16 bits": b"P5 2 1 65535 " + b"\x4e" * 4,
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


def _in_png(*chunks: bytes) -> bytes:
    data = encoded(_RED, "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def _in_gif(*extensions: bytes) -> bytes:
    data = encoded(_RED, "GIF")
    palette_end = 13 + 768
    return data[:palette_end] + b"".join(extensions) + data[palette_end:]


def _tiff_with(tag: int, kind: int, count: int, value: int, more: bytes = b"") -> bytes:
    """Return a TIFF of one red pixel with one more entry, in the order of tags; `more` is at offset 144."""
    fixed = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2)]
    strips = [(273, 4, 1, 140), (277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 3)]
    pixel = b"\x08\0\x08\0\x08\0\xc8\x1e\x1e\0"
    return directory(*fixed, *strips, (tag, kind, count, value), more=pixel + more)


_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
_CHUNKS = (
    *(
        b"acTL",
        b"caBX",
        b"cHRM",
        b"eXIf",
        b"fcTL",
        b"fdAT",
        b"gAMA",
        b"iCCP",
        b"iTXt",
        b"pHYs",
        b"sPLT",
        b"sRGB",
        b"tEXt",
    ),
    b"zTXt",
)
_NOTES: dict[str, bytes] = {
    **{f"JPEG of orientation {n}": encoded(_RED, "JPEG", exif=_exif(n)) for n in (*range(10), 65535)},
    **{f"PNG of orientation {n}": encoded(_RED, "PNG", exif=_exif(n)) for n in range(1, 9)},
    **{f"WebP of orientation {n}": encoded(_RED, "WEBP", exif=_exif(n)) for n in range(1, 9)},
    **{f"AVIF of orientation {n}": encoded(_RED, "AVIF", exif=_exif(n)) for n in range(1, 9)},
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
    "AVIF with a broken profile": encoded(_RED, "AVIF", icc_profile=b"junk" * 100),
    "AVIF with XMP of 2 MiB": encoded(_RED, "AVIF", xmp=bytes(2 << 20)),
    "WebP with a broken profile": encoded(_RED, "WEBP", icc_profile=b"junk" * 100),
    **{f"JPEG with an empty segment {0xE0 + n:X}": _in_jpeg(segment(0xE0 + n)) for n in range(16)},
    "JPEG with a truncated JFIF segment": _in_jpeg(segment(0xE0, b"JFIF")),
    "JPEG with a truncated profile": _in_jpeg(segment(0xE2, b"ICC_PROFILE\0")),
    "JPEG with a truncated preview": _in_jpeg(segment(0xE2, b"MPF\0")),
    "JPEG with a truncated Photoshop segment": _in_jpeg(segment(0xED, b"Photoshop 3.0\0" + b"8BIM")),
    "JPEG with a truncated Adobe segment": _in_jpeg(segment(0xEE, b"Adobe")),
    **{f"PNG with an empty chunk {kind.decode()}": _in_png(chunk(kind)) for kind in _CHUNKS},
    **{f"PNG with a broken chunk {kind.decode()}": _in_png(chunk(kind, b"junk")[:-1] + b"?") for kind in _CHUNKS},
    "PNG truncated in a text after its pixels": encoded(_RED, "PNG")[:-12] + chunk(b"tEXt", bytes(99))[:50],
    "PNG whose animation declares 0 frames": _in_png(chunk(b"acTL", bytes(8))),
    "PNG whose animation declares 2 ** 31 frames": _in_png(chunk(b"acTL", b"\x80" + bytes(7))),
    "GIF with an empty loop": _in_gif(b"!\xff\x0bNETSCAPE2.0\0"),
    "GIF with empty extensions": _in_gif(b"!\xff\0", b"!\xfe\0", b"!\xf9\0", b"!\x01\0"),
    "GIF with a comment of 1 MB": _in_gif(b"!\xfe" + (b"\xff" + b"x" * 255) * 4000 + b"\0"),
    "TIFF with a text as its resolution": _tiff_with(282, 2, 4, 0x41414141),
    "TIFF with 100,000 private numbers": _tiff_with(50838, 3, 100_000, 144, bytes(200_000)),
    "TIFF with an EXIF block outside": _tiff_with(34665, 4, 1, 2**32 - 1),
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
    "animated AVIF": _animation("AVIF"),
    "HEIC of several photos": _animation("HEIF"),
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


def notes() -> list[Case]:
    """Return the cases whose metadata is unusual."""
    return [Case(name, body, RED) for name, body in _NOTES.items()]


def cases() -> list[Case]:
    """Return all cases."""
    return [
        *(
            Case(f"{format_} of mode {mode}", encoded(_in_mode(mode), format_), RED)
            for format_, modes in _MODES.items()
            for mode in modes
        ),
        *(Case(name, body, RED) for name, body in (_DEPTHS | _ANIMATIONS).items()),
        *notes(),
        *(Case(f"PNG of {w} x {h}", _plain("PNG", w, h), RED) for w, h in _SHAPES),
        *(Case(f"{format_} of 1 x {long}", _plain(format_, 1, long), RED) for format_, long in _LONG),
        *(Case(f"{format_} of {long} x 1", _plain(format_, long, 1), RED) for format_, long in _LONG),
    ]
