"""Bodies that are not an image, and images that are also something else. The first bytes decide."""

from __future__ import annotations

import gzip
import io
import pickle
import random
import struct
import zipfile

from tests.corpus.case import CORRUPT, RED, TOO_LARGE, UNSUPPORTED, Case, chunk, encoded, noisy, segment


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.class", "CAFEBABE")
    return out.getvalue()


_SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script><rect fill="red"/></svg>'
_PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
_SCRIPT = b"*/=1;alert(1);//"
_JPEG, _PNG, _GIF = (encoded(noisy(), format_) for format_ in ("JPEG", "PNG", "GIF"))


def _box(brand: bytes) -> bytes:
    return struct.pack(">I", 24) + b"ftyp" + brand + bytes(4) + brand + b"mif1" + bytes(200)


_FOREIGN = {
    "empty": b"",
    "one byte": b"\xff",
    "one NUL": b"\0",
    "random": random.Random(0).randbytes(5000),
    "zeros": bytes(5000),
    "text": b"This is not an image.\n" * 20,
    "text that begins like a bitmap": b"BM is a small town, and this is a long sentence about it." * 5,
    "UTF-16": "\ufeffimage".encode("utf-16"),
    "an address": b"http://169.254.169.254/latest/meta-data/",
    "a file address": b"file:///etc/passwd",
    "JSON": b'{"instances": [{"b64": "iVBORw0KGgo="}]}',
    "base64 of a PNG": b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
    "HTML": b"<!doctype html><script>alert(1)</script>",
    "SVG": _SVG,
    "SVG with a prologue": b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + _SVG,
    "PDF": _PDF,
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\nshowpage\n",
    "ZIP": _zip(),
    "gzip of a PNG": gzip.compress(_PNG),
    "pickle": pickle.dumps({"image": [1, 2, 3]}),
    "NumPy array": b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "ELF": b"\x7fELF\x02\x01\x01" + bytes(100),
    "HEIC": _box(b"heic"),
    "MP4": _box(b"isom"),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
    "JPEG XL": b"\xff\x0a" + bytes(100),
    "icon": b"\0\0\1\0\1\0\x10\x10" + bytes(100),
    "Photoshop": b"8BPS\0\1" + bytes(100),
    "PPM as text": b"P3 2 2 255\n" + b"0 " * 12,
    "PCX": b"\n\5\1\x08" + bytes(200),
    "TGA": b"\0\0\2\0\0\0\0\0\0\0\0\0\2\0\2\0\x18\0" + bytes(12),
    "DICOM": bytes(128) + b"DICM" + bytes(100),
    "WAV": b"RIFF\x24\0\0\0WAVEfmt " + bytes(100),
    "RIFF header alone": b"RIFF\x24\0\0\0",
    "a JPEG's first two bytes": b"\xff\xd8",
    "a PNG with converted line ends": b"\x89PNG\n\x1a\n" + _PNG[8:],
    "a PNG without its first byte": _PNG[1:],
    "a PNG after a space": b" " + _PNG,
    "a JPEG after a line end": b"\r\n" + _JPEG,
    "GIF of an unknown version": b"GIF88a" + _GIF[6:],
    "PDF, then a JPEG": _PDF + _JPEG,
    "HTML, then a PNG": b"<html><!--" + _PNG,
    "SVG around a PNG": _SVG[:-6] + _PNG + b"</svg>",
    "ZIP, then a GIF": _zip() + _GIF,
}

_POLYGLOTS = {
    "JPEG, then a ZIP": _JPEG + _zip(),
    "JPEG, then HTML": _JPEG + b"<script>alert(1)</script>",
    "JPEG with a PDF in its comment": _JPEG[:2] + segment(0xFE, _PDF) + _JPEG[2:],
    "JPEG with a ZIP in an application segment": _JPEG[:2] + segment(0xE9, _zip()) + _JPEG[2:],
    "JPEG, then a PNG": _JPEG + encoded(noisy((30, 30, 200)), "PNG"),
    "PNG, then a ZIP": _PNG + _zip(),
    "PNG with PHP in its text": _PNG[:33] + chunk(b"tEXt", b"Comment\0<?php system($_GET[0]); ?>") + _PNG[33:],
    "GIF, then a ZIP": _GIF + _zip(),
    "GIF that is a script": _GIF[:6] + b"/*" + _GIF[8:] + _SCRIPT,
    "BMP, then a ZIP": encoded(noisy(), "BMP") + _zip(),
    "BMP that is a script": b"BM/*" + encoded(noisy(), "BMP")[4:] + _SCRIPT,
    "WebP, then a PDF": encoded(noisy(), "WEBP") + _PDF,
    "AVIF, then a ZIP": encoded(noisy(), "AVIF") + _zip(),
    "TIFF, then a ZIP": encoded(noisy(), "TIFF") + _zip(),
}

_SIGNATURES = {
    "JPEG": b"\xff\xd8\xff",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "GIF": b"GIF89a",
    "WebP": b"RIFF\0\0\0\0WEBP",
    "TIFF": b"II*\0",
    "BigTIFF": b"MM\0+",
    "BMP": b"BM" + bytes(12) + b"\x28\0\0\0",
    "PPM": b"P6\n",
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0heic",
    "AVIF": b"\0\0\0\x18ftypavif\0\0\0\0avif",
}


_LARGE = {("GIF", "random")}


def cases() -> list[Case]:
    """Return all cases."""
    signed = [
        # In a GIF, the size directly follows the signature, and random bytes make it a large one.
        Case(f"{name} signature, then {what}", signature + rest, TOO_LARGE if (name, what) in _LARGE else CORRUPT)
        for name, signature in _SIGNATURES.items()
        for what, rest in (("nothing", b""), ("random", random.Random(1).randbytes(3000)), ("a ZIP", _zip()))
    ]
    return [
        *(Case(name, body, UNSUPPORTED) for name, body in _FOREIGN.items()),
        *(Case(name, body, RED) for name, body in _POLYGLOTS.items()),
        *signed,
    ]
