"""Measure what int8 costs and saves with EfficientNet-Lite, at several image sizes.

    python -m benchmarks.lite [--backbone NAME] [--sizes N N ...] [--data TAR] [--train N] [--test N]

For each size, a linear head learns CIFAR-10 from frozen ImageNet features. The network is exported and quantised as
training does it. Both forms classify the same test images on one core, one image at a time, taking turns. The time is
the median of the core's CPU time, so other processes change it little.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.transfer import DATA, extract
from model_format.layout import FILES, INPUT
from training.forms.onnx_model import CALIBRATION_IMAGES

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BATCH = 64


@dataclass(frozen=True)
class Form:
    """One form of the network: the top classes it answers, the milliseconds an image, and the size of its file."""

    answers: np.ndarray
    milliseconds: float
    megabytes: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.lite")
    parser.add_argument("--backbone", default="efficientnet-lite0", metavar="NAME", help="(efficientnet-lite0)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 160, 224], metavar="N", help="(128 160 224)")
    parser.add_argument("--data", type=Path, default=DATA, metavar="TAR", help=f"CIFAR-10 as JPEG files ({DATA})")
    parser.add_argument("--train", type=int, default=100, metavar="N", help="training images per class (100)")
    parser.add_argument("--test", type=int, default=200, metavar="N", help="test images per class (200)")
    options = parser.parse_args()
    if not options.data.exists():
        parser.error(
            f"{options.data} doesn't exist; --data needs CIFAR-10 as a tar of train/CLASS/*.jpg and test/CLASS/*.jpg"
        )
    say("| size | fp32 ms | int8 ms | int8 / fp32 | fp32 accuracy | int8 accuracy | same answer | fp32 MB | int8 MB |")
    say("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        extract(options.data, root, CLASSES, options.train, 0)
        for size in options.sizes:
            train, test = (
                read(root / "two" / part, size, most) for part, most in (("train", None), ("test", options.test))
            )
            fp32, int8 = measure(options.backbone, size, train, test, root)
            accuracies = [(form.answers == test[1]).mean() for form in (fp32, int8)]
            say(
                f"| {size} | {fp32.milliseconds:.1f} | {int8.milliseconds:.1f} "
                f"| {int8.milliseconds / fp32.milliseconds:.2f} | {accuracies[0]:.1%} | {accuracies[1]:.1%} "
                f"| {(fp32.answers == int8.answers).mean():.1%} | {fp32.megabytes:.1f} | {int8.megabytes:.1f} |"
            )


def read(folder: Path, size: int, most: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the first `most` images of each class, (N, size, size, 3) uint8, and their labels."""
    import imaging

    files = [(file, label) for label, name in enumerate(CLASSES) for file in sorted((folder / name).iterdir())[:most]]
    images = np.stack([imaging.decode(file, size) for file, _ in files])
    return images, np.array([label for _, label in files])


def measure(
    name: str, size: int, train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], root: Path
) -> tuple[Form, Form]:
    """Return the fp32 and the int8 form of `name` with a head learned from `train`, run on `test`."""
    from training.forms import onnx_model

    model = learned(name, size, *train)
    fp32, int8 = root / FILES["onnx"], root / FILES["onnx-int8"]
    onnx_model.to_onnx(model, fp32)
    some = train[0][np.random.default_rng(0).permutation(len(train[0]))[:CALIBRATION_IMAGES]]
    onnx_model.to_int8(fp32, int8, (some[i : i + BATCH] for i in range(0, len(some), BATCH)))
    return in_turns(fp32, int8, test[0])


def learned(name: str, size: int, images: np.ndarray, labels: np.ndarray) -> Any:
    """Return the network whose last layer is a logistic regression on frozen features."""
    import keras
    from sklearn.linear_model import LogisticRegression

    from training.config import Config
    from training.environment import start_keras
    from training.network import backbone, network, served

    start_keras(0)
    config = backbone.settle(Config(data="cifar10", backbone=name, image_size=size, dropout=0))
    model = served.for_serving(network.build(config, len(CLASSES)))
    features = keras.Model(model.input, model.layers[-1].input).predict(images, batch_size=BATCH, verbose=0)
    head = LogisticRegression(C=0.1, max_iter=1000).fit(features, labels)
    model.layers[-1].set_weights([head.coef_.T, head.intercept_])
    model.predict(images[:1], verbose=0)  # Keras exports a network only after it has run
    return model


def in_turns(fp32: Path, int8: Path, images: np.ndarray) -> tuple[Form, Form]:
    """Classify each image by both forms on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    files = (fp32, int8)
    sessions = [onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"]) for file in files]
    answers = np.empty((2, len(images)), int)
    seconds = np.empty((2, len(images)))
    for i, image in enumerate(images):
        for form, session in enumerate(sessions):
            started = time.thread_time()
            (probabilities,) = session.run(None, {INPUT: image[None]})
            seconds[form, i] = time.thread_time() - started
            answers[form, i] = probabilities.argmax()
    first, second = (
        Form(answers[i], float(np.median(seconds[i])) * 1000, file.stat().st_size / 1e6) for i, file in enumerate(files)
    )
    return first, second


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
