"""The built-in data sets, written as folders of PNG files, so that they are loaded like any other data."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.environment import import_keras
from training.errors import DataError

_CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
_FASHION = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot"]


def prepare(name: str, cache_dir: Path) -> tuple[Path, Path | None]:
    """Return the training folder of the data set `name` and its test folder, if it has one. Write them on first use.

    Raises:
        DataError: the data set can't be downloaded.
    """
    root = cache_dir / name
    if not root.exists():
        partial = cache_dir / f"{name}.{os.getpid()}"
        try:
            if name == "digits":
                _write_digits(partial)
            else:
                _write_keras_dataset(name, partial)
            shutil.rmtree(root, ignore_errors=True)
            partial.rename(root)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return (root, None) if name == "digits" else (root / "train", root / "test")


def _write_digits(root: Path) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    _write(root, images, digits.target, [str(digit) for digit in range(10)])


def _write_keras_dataset(name: str, root: Path) -> None:
    module, class_names = _keras_dataset(name)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras prints progress to stdout
            (train, train_labels), (test, test_labels) = module.load_data()
    except Exception as error:  # Keras raises Exception itself for a failed download
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{name} can't be downloaded ({reason}); pass a local folder instead: --data DIR [--test-data DIR]"
        ) from error
    _write(root / "train", train, train_labels.ravel(), class_names)
    _write(root / "test", test, test_labels.ravel(), class_names)


def _keras_dataset(name: str) -> tuple[Any, list[str]]:
    datasets = import_keras().datasets
    return (datasets.cifar10, _CIFAR10) if name == "cifar10" else (datasets.fashion_mnist, _FASHION)


def _write(root: Path, images: np.ndarray, labels: np.ndarray, class_names: list[str]) -> None:
    for name in class_names:
        (root / name).mkdir(parents=True, exist_ok=True)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(root / class_names[label] / f"{i:05}.png", compress_level=1)
