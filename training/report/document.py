"""The content of metrics.json as types: what a training or an evaluation found."""

from __future__ import annotations

from dataclasses import dataclass

from training.report.check_document import Checks, RejectedFile
from training.report.choice_document import Choice
from training.report.figures import Adjustment, Calibration, Evaluation, Limits, Validation
from training.report.section import Section

Option = str | int | float | bool | None
"""The value of an option of a training."""


@dataclass(frozen=True)
class Imbalance(Section):
    """How unequal the classes are in the training images, and what was done about it."""

    ratio: float
    """Images of the largest class over those of the smallest."""
    treatment: str
    """`logit-adjustment`, `class-weights`, `oversample` or `none`."""
    class_weights: dict[str, float] | None
    """Weight of each class in the loss; null with another treatment."""


@dataclass(frozen=True)
class LabelConflict(Section):
    """One image in the folders of several classes."""

    files: list[str]
    """Files with the same image."""
    classes: list[str]
    """The classes that they are in."""


@dataclass(frozen=True)
class Data(Section):
    """The images of a training."""

    name: str
    """Name of the folder or of the built-in data set."""
    root: str
    """The folder, or its URL."""
    classes: list[str]
    """Class names in label order."""
    images: int
    """Number of images in all parts."""
    image_size: int
    """Width and height that images are resized to, in pixels."""
    resize: str
    """What happens to an image that is no square: `stretch`, `letterbox` or `crop`."""
    splits: dict[str, dict[str, int]]
    """Number of images by part (`train`, `validation`, `test`) and class."""
    imbalance: Imbalance
    duplicates: int
    """Number of images that equal another one once decoded, without the first of each."""
    label_conflicts: list[LabelConflict]
    """Equal images in several classes."""
    rejected: list[RejectedFile]
    """Files that could not be used."""
    leaked: int
    """Number of images left out of training because the test folder has them too."""
    excluded: int
    """Number of files left out by `--exclude`."""
    fingerprint: str
    """SHA-256 of the images and classes of each part."""
    decode_seconds: float
    """Time of finding and decoding the images, in seconds."""
    cached: bool
    """Whether all images came decoded from the cache."""


@dataclass(frozen=True)
class Phase(Section):
    """One phase of a training: all layers, or the head and then the last layers of a backbone."""

    name: str
    start: int
    """Number of epochs completed before the phase."""
    most_epochs: int
    """Number of epochs planned."""
    learning_rate: float
    """Peak learning rate."""
    trainable_parameters: int
    epochs: int
    """Number of epochs completed in the phase."""
    stopped: str
    """`finished`, `early_stopping` or `interrupted`."""


@dataclass(frozen=True)
class Backbone(Section):
    """The pretrained network that the training started from."""

    name: str
    weights: str
    """`imagenet`, `none`, a file, or `its own` for a stored model."""
    sha256: str | None
    """SHA-256 that the weights had to have, if one was given."""


@dataclass(frozen=True)
class Training(Section):
    """The course of a training."""

    epochs: int
    """Number of epochs completed."""
    best_epoch: int
    """The epoch whose weights were kept, counted from 1; 0 if no epoch was completed."""
    stopped: str
    """`finished`, `early_stopping` or `interrupted`."""
    seconds: float
    """Time of the training steps, in seconds, without validation and saving."""
    images_per_second: float | None
    """Training images per second; null if no step was timed."""
    history: dict[str, list[float]]
    """Loss, accuracy and learning rate of each epoch; those of validation images begin with `val_`."""
    backbone: Backbone | None
    """Null for a network that is trained from scratch."""
    phases: list[Phase]
    config: dict[str, Option]
    """All options, with the rates of augmentation in force."""
    choice: Choice | None = None
    """The comparison by which the network was chosen; missing if the options named it."""


@dataclass(frozen=True)
class Int8(Section):
    """The int8 form against the fp32 form, on the test images."""

    kept: bool
    """Whether the store entry has the int8 form."""
    accuracy: float
    accuracy_fp32: float
    reason: str
    """Accuracy lost, and how much may be lost, in words."""


@dataclass(frozen=True)
class Model(Section):
    """The trained model."""

    tag: str | None
    """Tag in the model store; null if it is not published."""
    published: bool
    refused: str | None
    """Why the model was refused; null if it was not."""
    parameters: int
    files: dict[str, int]
    """Size of each file, in bytes."""
    onnx_max_difference: float
    """Largest difference between the ONNX form's and Keras' probabilities on the test images."""
    int8: Int8 | None
    """Null if no int8 form was asked for."""


@dataclass(frozen=True)
class Environment(Section):
    """Where the run happened."""

    git_revision: str
    """Commit of the code, with `-dirty` if files differ from it; `unknown` without git."""
    python: str
    versions: dict[str, str]
    """Version of each library that shapes a model."""
    machine: str
    """Name of the processor."""
    cpus: int
    """Number of CPUs that the process may use."""
    started: str
    """Time at which the run started, in ISO 8601."""
    backend: str | None = None
    """Backend of Keras, in a training."""
    device: str | None = None
    """Kind and number of the devices that trained, in a training."""
    workers: int | None = None
    """Number of processes that trained together, if there were several."""


@dataclass(frozen=True)
class Explanations(Section):
    """Heat maps of where the network looked."""

    reason: str | None
    """Why there are none; null if there are."""


@dataclass(frozen=True)
class TrainingReport(Section):
    """What a training found: metrics.json of a run."""

    test: Evaluation
    calibration: Calibration
    validation: Validation | None
    """Null with `--refit`, which trains on the validation images."""
    data: Data
    checks: Checks
    train: Training
    model: Model
    environment: Environment
    explanations: Explanations
    limits: Limits | None = None
    """Missing in the report of an older training."""
    adjustment: Adjustment | None = None
    """Missing if the classes were not balanced by logit adjustment."""


@dataclass(frozen=True)
class EvaluatedData(Section):
    """The images that a stored model was evaluated on."""

    name: str
    """Name of the folder."""
    root: str
    """The folder, or its URL."""
    classes: list[str]
    """The model's class names in label order."""
    images: int
    """Number of images."""
    image_size: int
    """Width and height that images are resized to, in pixels."""
    resize: str
    """What happens to an image that is no square: `stretch`, `letterbox` or `crop`."""
    splits: dict[str, dict[str, int]]
    """Number of images by part, which is `test`, and class."""
    rejected: list[RejectedFile]
    """Files that could not be used."""


@dataclass(frozen=True)
class EvaluatedModel(Section):
    """The stored model that was evaluated."""

    tag: str
    runtime: str
    """`onnx`, `onnx-int8` or `keras`."""


@dataclass(frozen=True)
class EvaluationReport(Section):
    """What an evaluation of a stored model found: metrics.json of `python -m training evaluate --out`."""

    test: Evaluation
    data: EvaluatedData
    model: EvaluatedModel
    environment: Environment


Report = TrainingReport | EvaluationReport
"""What metrics.json holds."""
