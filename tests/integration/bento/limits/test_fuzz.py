"""Thousands of images and forms, mutated from good ones by a seed: each gets a documented answer, never a 5xx."""

from __future__ import annotations

import io
import json
import random
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.integration.conftest import Server, Store, serving
from tests.stored import picture, write_entry

SEED = 20_251
INPUTS = 20_000
CLIENTS = 8
ALLOWED = {
    (200, ""),
    (400, "missing_file"),
    (400, "multiple_files"),
    (400, "malformed_request"),
    (413, "image_too_large"),
    (415, "unsupported_media_type"),
    (422, "corrupt_image"),
}
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "PPM"]
MAGIC = [
    b"\xff\xd8\xff", b"\xff\xda", b"\xff\xc2", b"\xff\xff", b"\x89PNG\r\n\x1a\n", b"IHDR", b"IDAT", b"IEND", b"zTXt",
    b"acTL",
    b"GIF89a", b"RIFF", b"WEBP", b"VP8X", b"II*\x00", b"MM\x00*", b"BM", b"\x00" * 8, b"\xff" * 8, b"\r\n--b\r\n",
    b"--b--", b"ftyp", b"ispe", b"av01", b"hvcC", b"grid", b"iloc", b"auxl",
]  # fmt: skip


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("fuzz")
    store = Store(root / "home")
    store.publish(write_entry(root / "entry"))
    with serving(store, ".", QUEUE_LIMIT="1000", DEADLINE_MS="60000") as server:
        yield server


def seeds() -> list[bytes]:
    """Return good images of every format and several modes."""
    rng = np.random.default_rng(SEED)
    noise = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    images = [picture(colour, format_) for colour in ("red", "blue") for format_ in FORMATS]
    for mode, format_, options in (
        ("L", "JPEG", {}),
        ("CMYK", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True}),
        ("P", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("I;16", "PNG", {}),
        ("1", "TIFF", {}),
        ("F", "TIFF", {}),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("RGBA", "WEBP", {"lossless": True}),
        ("RGBA", "AVIF", {}),
        ("P", "GIF", {}),
        ("P", "BMP", {}),
    ):
        out = io.BytesIO()
        noise.convert("L" if mode == "I;16" else mode).convert(mode).save(out, format_, **options)
        images.append(out.getvalue())
    return images


def mutated(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Flip, cut, repeat, splice and inject bytes, a few times."""
    mutant = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(mutant) + 1)
        kind = rng.randrange(7)
        if kind == 0 and mutant:
            mutant[rng.randrange(len(mutant))] ^= 1 << rng.randrange(8)
        elif kind == 1 and mutant:
            mutant[rng.randrange(len(mutant))] = rng.choice((0, 1, 127, 128, 255))
        elif kind == 2:
            del mutant[at : at + rng.randint(1, 64)]
        elif kind == 3:
            mutant[at:at] = mutant[at : at + rng.randint(1, 64)] * rng.randint(1, 4)
        elif kind == 4:
            mutant[at:at] = rng.choice(MAGIC)
        elif kind == 5:
            other = rng.choice(others)
            mutant[at:] = other[rng.randrange(len(other)) :]
        else:
            del mutant[at:]
    return bytes(mutant)


def request(number: int, images: list[bytes]) -> bytes:
    """Return the request with this number, the same in every run."""
    rng = random.Random(SEED * 1_000_003 + number)
    image = mutated(rng.choice(images), rng, images)
    kind = "image/png"
    body = image
    if number % 3:
        kind = "multipart/form-data; boundary=b"
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\nContent-Type: image/png\r\n\r\n'
        body = head + image + b"\r\n--b--\r\n"
        if number % 3 == 2:
            body = mutated(head + rng.choice(images) + b"\r\n--b--\r\n", rng, images)
    line = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return line.encode() + body


def answer(connection: socket.socket, data: bytes) -> tuple[int, str]:
    connection.sendall(data)
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += _some(connection)
    return int(head.split()[1]), json.loads(body).get("code", "")


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    assert data, "the connection was closed without an answer"
    return data


def test_mutated_inputs_get_documented_answers(target: Server, tmp_path: Path) -> None:
    images = seeds()

    def client(first: int) -> Counter[tuple[int, str]]:
        seen: Counter[tuple[int, str]] = Counter()
        with socket.create_connection(("127.0.0.1", target.port), timeout=60) as connection:
            for number in range(first, INPUTS, CLIENTS):
                data = request(number, images)
                try:
                    found = answer(connection, data)
                    assert found in ALLOWED
                except BaseException:
                    (tmp_path / "offending-request").write_bytes(data)
                    print(f"request({number}) of seed {SEED}, saved in {tmp_path}")  # noqa: T201
                    raise
                seen[found] += 1
        return seen

    with ThreadPoolExecutor(CLIENTS) as pool:
        total = sum(pool.map(client, range(CLIENTS)), Counter[tuple[int, str]]())
    assert sum(total.values()) == INPUTS
    # The mutations reach everything: enough images survive, and enough are refused.
    assert min(total[200, ""], total[422, "corrupt_image"], total[415, "unsupported_media_type"]) > INPUTS // 50
    assert min(total[400, "malformed_request"], total[400, "missing_file"]) > 0
    assert target.predict(picture("green")).json()["predicted_class"] == "green"
    assert target.metric("image_classifier_requests_total", code="500") == 0
    assert target.metric("image_classifier_in_flight") == 0
    assert "Traceback" not in target.log.read_text()
