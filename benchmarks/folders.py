"""Train on real folders of all kinds by the default command: how good, how long, which network, at what cost.

    python -m benchmarks.folders [NAME ...] [--seeds N N ...] [--json FILE]

    digits     1,797 tiny grey images in scikit-learn
    few        CIFAR-10, the first 100 training files and the first 100 test files of each class
    clip-art   8,000 drawings in 22 classes of 1 to 1,714 images, with transparent ground
    fashion    Fashion-MNIST, 60,000 grey images of 28 pixels
    cifar      CIFAR-10, all 50,000 training files

clip-art and fashion need the files of Debian's packages openclipart-png and dataset-fashion-mnist; `--debian DIR` is
where they were unpacked, if not at /. A folder without test images is divided by the command itself.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.transfer import DATA
from model_format.layout import FILES
from training.features.extractor import timed

_FEW = 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.folders", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=list(_FOLDERS), choices=list(_FOLDERS), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N", help="seeds of the runs (0)")
    parser.add_argument("--cifar", type=Path, default=DATA, metavar="TAR", help=f"CIFAR-10 as JPEG files ({DATA})")
    parser.add_argument(
        "--debian", type=Path, default=Path("/"), metavar="DIR", help="where the packages' files lie (/)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    print(f"{'folder':10} {'seed':>4} {'accuracy':>8} {'F1':>5} {'minutes':>7} {'fp32 ms':>7} {'int8 ms':>7}  network")  # noqa: T201
    results = []
    for name in options.names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                arguments = _FOLDERS[name](options, Path(folder))
            except FileNotFoundError as error:
                print(f"{name:10} left out: {error.filename} is missing")  # noqa: T201
                continue
            for seed in options.seeds:
                result = {"folder": name, "seed": seed} | measure(arguments, Path(folder), seed)
                results.append(result)
                print(_line(result), flush=True)  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


def measure(arguments: list[str], root: Path, seed: int) -> dict[str, Any]:
    """Train once in a process of its own; nothing is cached from an earlier one."""
    out, cache, home = root / "run", root / "cache", root / "home"
    for folder in (out, cache, home):
        shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "training", *arguments, "--seed", str(seed), "--out", str(out)]
    started = time.perf_counter()
    done = subprocess.run(
        [*command, "--cache-dir", str(cache)],
        env=os.environ | {"BENTOML_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stderr)
    report = json.loads((out / "metrics.json").read_text())
    (entry,) = (home / "models").glob("image_classifier/*/")
    size, choice = report["data"]["image_size"], report["train"]["choice"]
    files = {form: entry / FILES[form] for form in ("onnx", "onnx-int8")}
    return {
        "accuracy": report["test"]["accuracy"],
        "macro_f1": report["test"]["f1"]["macro"],
        "seconds": seconds,
        "network": choice["chosen"] if choice else "small network",
        "milliseconds": {
            form: timed(file, size).milliseconds if file.exists() else None for form, file in files.items()
        },
        "choice": choice,
    }


def _line(result: dict[str, Any]) -> str:
    fp32, int8 = (f"{one:7.2f}" if one else f"{'-':>7}" for one in result["milliseconds"].values())
    return (
        f"{result['folder']:10} {result['seed']:4} {result['accuracy']:8.1%} {result['macro_f1']:5.2f} "
        f"{result['seconds'] / 60:7.1f} {fp32} {int8}  {result['network']}"
    )


def digits(options: argparse.Namespace, root: Path) -> list[str]:
    """Return the options for the built-in digits."""
    return ["--data", "digits"]


def few(options: argparse.Namespace, root: Path) -> list[str]:
    """Extract the first files of each class of CIFAR-10, in the order of their names."""
    return _cifar(options, root, _FEW, _FEW)


def cifar(options: argparse.Namespace, root: Path) -> list[str]:
    """Extract CIFAR-10."""
    return _cifar(options, root, 10_000, 10_000)


def _cifar(options: argparse.Namespace, root: Path, train: int, test: int) -> list[str]:
    most = {"train": train, "test": test}
    with tarfile.open(options.cifar) as tar:
        files = sorted((member for member in tar if member.isfile()), key=lambda member: member.name)
        taken: dict[tuple[str, str], int] = {}
        chosen = []
        for member in files:
            part, name, _ = Path(member.name).parts[-3:]
            taken[part, name] = taken.get((part, name), 0) + 1
            if taken[part, name] <= most[part]:
                chosen.append(member)
        for member in sorted(chosen, key=lambda member: member.offset):
            target = root.joinpath(*Path(member.name).parts[-3:])
            target.parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(member)
            assert content is not None
            target.write_bytes(content.read())
    return ["--data", str(root / "train"), "--test-data", str(root / "test")]


def clip_art(options: argparse.Namespace, root: Path) -> list[str]:
    """Return the options for the clip art, whose top-level folders are the classes."""
    data = options.debian / "usr/share/openclipart/png"
    os.stat(data)
    return ["--data", str(data)]


def fashion(options: argparse.Namespace, root: Path) -> list[str]:
    """Write Fashion-MNIST as PNG files."""
    source = options.debian / "usr/share/datasets/fashion-mnist"
    for part, prefix in (("train", "train"), ("test", "t10k")):
        with gzip.open(source / f"{prefix}-images-idx3-ubyte.gz") as file:
            images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
        with gzip.open(source / f"{prefix}-labels-idx1-ubyte.gz") as file:
            labels = np.frombuffer(file.read(), np.uint8, offset=8)
        for label in range(10):
            (root / part / str(label)).mkdir(parents=True)
        for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            Image.fromarray(pixels).save(root / part / str(label) / f"{number:05}.png")
    return ["--data", str(root / "train"), "--test-data", str(root / "test")]


_FOLDERS: dict[str, Callable[[argparse.Namespace, Path], list[str]]] = {
    "digits": digits,
    "few": few,
    "clip-art": clip_art,
    "fashion": fashion,
    "cifar": cifar,
}

if __name__ == "__main__":
    main()
