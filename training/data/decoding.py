"""Decode the images of a folder once, in parallel, into a cache that later runs open as it is."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import PIL

import imaging
from training import folders
from training.data import decoders as processes
from training.data.decoded import CONTENTS, DIGEST_BYTES, DIGESTS, PIXELS, REJECTED, DecodedImages
from training.data.folder import ImageFolder
from training.data.source import Rejected, Source, Stat
from training.errors import DataError
from training.progress import Bar

_UNUSED_DAYS = 30

Outputs = tuple[tuple[str, int], ...]
"""Files of pixels, and the size of the images in each, in pixels."""
Failure = tuple[int, int, str, str]
"""Row, size, code and reason of a file that didn't decode."""
Task = tuple[Outputs, imaging.Resize, int, Source, list[str], list[Stat]]
"""The arguments of `decode_files`."""
Decoded = tuple[int, np.ndarray, np.ndarray, list[Failure]]
"""First row; hashes of the pixels at each size, (sizes, n, 16) uint8; of the encoded files, (n, 16) uint8; failures."""


def decode_folder(
    folder: ImageFolder,
    size: int,
    cache_dir: Path,
    decoders: int,
    *,
    resize: imaging.Resize = imaging.STRETCH,
    ahead: Sequence[int] = (),
) -> tuple[DecodedImages, bool]:
    """Return the decoded images of `folder`, and whether they were in the cache already.

    Args:
        folder: the files to decode.
        size: width and height of the decoded images, in pixels.
        cache_dir: the cache; each folder and size has its own entry.
        decoders: the number of processes that decode.
        resize: what happens to an image that is no square.
        ahead: sizes that will be asked for next. If `size` has no entry, theirs are made too, from the same reading.

    Raises:
        DataError: the cache can't be written, or a decoder was killed.
        UsageError: the script that calls has no `__main__` guard.
    """
    entry = cache_dir / _key(folder, size, resize)
    with contextlib.suppress(OSError, ValueError):
        decoded = DecodedImages.open(entry, size)
        os.utime(entry)
        return decoded, True
    missing = [other for other in ahead if other != size and not (cache_dir / _key(folder, other, resize)).exists()]
    sizes = [size, *missing]
    needed = len(folder.files) * sum(one * one * 3 for one in sizes)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with _alone(cache_dir):
            with contextlib.suppress(OSError, ValueError):
                return DecodedImages.open(entry, size), False  # another process has decoded them
            _prune(cache_dir)
            entries = [cache_dir / _key(folder, one, resize) for one in sizes]
            partial = [entry.with_name(f"{entry.name}.{os.getpid()}") for entry in entries]
            try:
                _fill(partial, folder, sizes, resize, decoders)
                for written, complete in zip(partial, entries, strict=True):
                    shutil.rmtree(complete, ignore_errors=True)  # if there is an incomplete one
                    written.rename(complete)
            finally:
                for written in partial:
                    shutil.rmtree(written, ignore_errors=True)
            decoded = DecodedImages.open(entry, size)
            if any(file.code == "changed" for file in decoded.rejected):
                for complete in entries:
                    shutil.rmtree(complete)  # not for later runs, which may find the listed objects again
            return decoded, False
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            free = shutil.disk_usage(cache_dir).free
            raise DataError(
                f"disk full: the decoded images need {needed / 1e6:,.1f} MB in {cache_dir}, "
                f"where {free / 1e6:,.1f} MB are free; pass another --cache-dir"
            ) from error
        raise DataError(f"the decoded images can't be written to {cache_dir}: {error.strerror}") from error


@contextlib.contextmanager
def _alone(cache_dir: Path) -> Iterator[None]:
    """Wait until no other process decodes into `cache_dir`. The workers of one training start at the same moment."""
    handle = os.open(cache_dir, os.O_RDONLY)
    try:
        # Some file systems have no locks.
        with contextlib.suppress(OSError), folders.waiting(f"another process decodes images into {cache_dir}"):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _key(folder: ImageFolder, size: int, resize: imaging.Resize) -> str:
    how = "" if resize == imaging.STRETCH else resize
    # Refusals are part of an entry, and more formats may be read by now. 3: hashes of the files.
    digest = hashlib.sha256(f"{imaging.POLICY_VERSION} {PIL.__version__} {size}{how} {imaging.SUPPORTED} 3 ".encode())
    digest.update(folder.source.identity.encode("utf-8", "surrogateescape"))
    for file, (length, stamp) in zip(folder.files, folder.stats, strict=True):
        digest.update(f"\0{file}\0{length}\0{stamp}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _prune(cache_dir: Path) -> None:
    """Remove the remains of killed runs, and entries that no run has opened for a month."""
    for entry in cache_dir.iterdir():
        name, _, pid = entry.name.partition(".")
        if len(name) != 32 or not entry.is_dir():
            continue  # not an entry of this cache
        abandoned = pid.isdigit() and not Path("/proc", pid).exists()
        unused = time.time() - entry.stat().st_mtime > _UNUSED_DAYS * 86400
        if abandoned or unused:
            shutil.rmtree(entry, ignore_errors=True)


def _fill(targets: list[Path], folder: ImageFolder, sizes: list[int], resize: imaging.Resize, decoders: int) -> None:
    count = len(folder.files)
    for target, size in zip(targets, sizes, strict=True):
        target.mkdir(exist_ok=True)
        with (target / PIXELS).open("wb") as file:
            # Reserve all space now, so that a full disk stops the run before it decodes.
            os.posix_fallocate(file.fileno(), 0, count * size * size * 3)
    digests = np.zeros((len(sizes), count, DIGEST_BYTES), np.uint8)
    contents = np.zeros((count, DIGEST_BYTES), np.uint8)
    failures: list[Failure] = []
    step = folder.source.files_per_task
    outputs = tuple((str(target / PIXELS), size) for target, size in zip(targets, sizes, strict=True))
    tasks = [_task(outputs, resize, folder, slice(first, first + step)) for first in range(0, count, step)]
    with Bar("Decoding", count) as bar:
        for first, pixels, encoded, failed in processes.run(decode_files, tasks, decoders, waits=folder.source.waits):
            here = slice(first, first + len(encoded))
            digests[:, here], contents[here] = pixels, encoded
            failures.extend(failed)
            bar.advance(len(encoded))
    for target, size, digest in zip(targets, sizes, digests, strict=True):
        np.save(target / DIGESTS, digest)
        np.save(target / CONTENTS, contents)
        entries = [
            {"row": row} | asdict(Rejected(folder.files[row], code, reason))
            for row, failed_size, code, reason in sorted(failures)
            if failed_size == size
        ]
        (target / REJECTED).write_text(json.dumps(entries), encoding="utf-8")


def _task(outputs: Outputs, resize: imaging.Resize, folder: ImageFolder, files: slice) -> Task:
    return outputs, resize, files.start, folder.source, folder.files[files], folder.stats[files]


def decode_files(
    outputs: Outputs, resize: imaging.Resize, first_row: int, source: Source, files: list[str], stats: list[Stat]
) -> Decoded:
    """Decode `files` into each of `outputs`, from row `first_row`."""
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # the report says what is wrong with a file
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        out = [(stack.enter_context(open(path, "r+b", buffering=0)).fileno(), size) for path, size in outputs]
        return first_row, *_decode_rows(out, resize, first_row, source.read(files, stats), len(files))


def _decode_rows(
    outputs: list[tuple[int, int]],
    resize: imaging.Resize,
    first_row: int,
    contents: Iterator[str | bytes | Rejected],
    count: int,
) -> tuple[np.ndarray, np.ndarray, list[Failure]]:
    digests = np.zeros((len(outputs), count, DIGEST_BYTES), np.uint8)
    encoded_digests = np.zeros((count, DIGEST_BYTES), np.uint8)
    failures: list[Failure] = []
    sizes = [size for _, size in outputs]
    for i, content in enumerate(contents):
        row = first_row + i
        if isinstance(content, Rejected):
            failures += [(row, size, content.code, content.reason) for size in sizes]
            continue
        try:
            encoded = content if isinstance(content, bytes) else Path(content).read_bytes()
        except OSError as error:
            failures += [(row, size, "unreadable", error.strerror or str(error)) for size in sizes]
            continue
        encoded_digests[i] = _digest(encoded)
        for number, ((out, size), square) in enumerate(zip(outputs, _decode(encoded, sizes, resize), strict=True)):
            if isinstance(square, imaging.ImageError):
                failures.append((row, size, square.code, str(square)))
                continue
            data = square.tobytes()
            digests[number, i] = _digest(data)
            # Written instead of mapped, so that pixels never count as this process's memory.
            os.pwrite(out, data, row * len(data))
    return digests, encoded_digests, failures


def _decode(encoded: bytes, sizes: list[int], resize: imaging.Resize) -> list[np.ndarray | imaging.ImageError]:
    try:
        return [*imaging.decode_sizes(encoded, sizes, resize=resize)]
    except imaging.ImageError as error:
        # A large JPEG may be refused at one size only.
        return [error] if len(sizes) == 1 else [_decode(encoded, [size], resize)[0] for size in sizes]


def _digest(data: bytes) -> np.ndarray:
    return np.frombuffer(hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest(), np.uint8)
