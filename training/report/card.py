"""Write the card of a model: what it is, from what data, how good it is for whom, and what it must not be used for.

All figures are those of the run's report, or of the entry's metadata for a model that was stored without a card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from model_format import card
from model_format.errors import FormatError
from model_format.layout import FILES, forms
from model_format.metadata import Metadata, Recalibration, TrainingData
from training.config import IMAGENET, NONE, Config
from training.errors import ModelError
from training.network import efficientnet_lite
from training.report.display import markdown, printable, shorten
from training.report.document import Backbone, Environment, TrainingReport
from training.report.figures import ClassFigures, Evaluation
from training.report.findings import findings
from training.report.html import template
from training.report.metrics import wilson_interval
from training.store import open_model

_MOST_CLASSES, _MOST_WEAK, _NAME_COLUMNS = 50, 5, 60
_FEW_IMAGES = 20
"""Training images below which a class is called small."""
_AVERAGES = ("precision", "recall", "f1", "auc")


def of_run(report: TrainingReport, tag: str) -> str:
    """Return the card of the model that a run publishes as `tag`."""
    data = report.data
    return _render(
        tag,
        classes=data.classes,
        image_size=data.image_size,
        resize=data.resize,
        files=report.model.files,
        int8=report.model.int8,
        test=report.test,
        data=TrainingData(name=data.name, images=data.images, splits=data.splits, fingerprint=data.fingerprint),
        backbone=report.train.backbone,
        options=report.train.config,
        revision=report.environment.git_revision,
        report=report,
    )


def of_stored(tag: str) -> str:
    """Return the card of a stored model, or one that is made of its metadata if it was stored without.

    Args:
        tag: a model-store tag; without a version, the newest.

    Raises:
        ModelError: there is no such model, or neither its card nor its metadata can be read.
    """
    stored, about = open_model(tag)
    entry = Path(stored.path)
    return _read(entry) or _of_entry(entry, about, str(stored.tag))


def of_recalibrated(files: Path, about: Metadata, tag: str) -> str:
    """Return the card of a recalibrated copy: what was measured again, and then the card of its parent.

    Args:
        files: those of the copy, with the card of its parent, if that has one.
        about: the copy's metadata.
        tag: the copy's.

    Raises:
        ModelError: the parent's card can't be read.
    """
    assert about.recalibration
    written = _read(files)
    if written is None:
        return _of_entry(files, about, tag)
    front, end, body = written.partition("\n---\n")
    about_copy = f"\n# {markdown(tag)}\n\n{_recalibrated(about.recalibration)} The card of its parent follows.\n"
    return "".join((front, end, about_copy, body)) if end else about_copy + written


def _read(entry: Path) -> str | None:
    try:
        return card.read(entry)
    except FormatError as error:
        raise ModelError(str(error)) from error


def _of_entry(entry: Path, about: Metadata, tag: str) -> str:
    from jinja2 import TemplateError

    config = about.config
    backbone = config.get("backbone") or NONE
    try:
        return _render(
            tag,
            classes=about.class_names,
            image_size=about.image_size,
            resize=about.resize,
            files={FILES[form]: (entry / FILES[form]).stat().st_size for form in forms(entry)},
            int8=about.int8,
            test=_evaluation(about.metrics) if about.metrics else None,
            data=about.data,
            backbone=None
            if backbone == NONE
            else Backbone(backbone, config.get("weights") or "its own", config.get("weights_sha256")),
            options=config,
            revision=about.git_revision,
            recalibration=about.recalibration,
        )
    except (TemplateError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{tag} has no card, and none can be made of its metadata ({type(error).__name__}); train the model again"
        ) from error


def _evaluation(stored: Mapping[str, Any]) -> Evaluation:
    """Return the figures that the metadata holds; it has no confusion matrix, and leaves out what is undefined."""
    averages = {figure: {"macro": None, "weighted": None} | stored.get(figure, {}) for figure in _AVERAGES}
    undefined = dict.fromkeys(field.name for field in fields(ClassFigures))
    per_class = {name: undefined | figures for name, figures in stored.get("per_class", {}).items()}
    unknown = {"ece": float("nan"), "log_loss": float("nan"), "confusion_matrix": []}
    return Evaluation.from_json({**unknown, **stored, **averages, "per_class": per_class})


def _render(
    tag: str,
    *,
    test: Evaluation | None,
    data: TrainingData | None,
    backbone: Backbone | None,
    options: Mapping[str, Any],
    recalibration: Recalibration | None = None,
    report: TrainingReport | None = None,
    **facts: Any,
) -> str:
    """Return the card; every text in it is untrusted, so it is escaped."""
    from jinja2 import StrictUndefined

    page = template("card.j2", autoescape=False, finalize=_escaped, undefined=StrictUndefined)
    trained = data["splits"].get("train", {}) if data else {}
    return page.render(
        tag=tag,
        test=test,
        data=data,
        backbone=backbone,
        weights=_weights(backbone),
        options=_options(options),
        recalibrated=_recalibrated(recalibration) if recalibration else None,
        report=report,
        findings=findings(report) if report else [],
        interval=wilson_interval,
        weakest=_weakest(test) if test else [],
        small={name: count for name, count in trained.items() if count < _FEW_IMAGES},
        few=_FEW_IMAGES,
        core_seconds=_core_seconds(report) if report else None,
        quoted=_quoted,
        printable=printable,
        **facts,
    )


def _escaped(value: Any) -> Any:
    from markupsafe import Markup

    return markdown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _quoted(names: list[str] | dict[str, Any]) -> str:
    shown = ", ".join(f"“{shorten(name, _NAME_COLUMNS)}”" for name in [*names][:_MOST_CLASSES])
    return shown + (f" and {len(names) - _MOST_CLASSES:,} more" if len(names) > _MOST_CLASSES else "")


def _weakest(test: Evaluation) -> list[tuple[str, ClassFigures]]:
    """Return the classes with the lowest F1, those first."""
    tested = [(name, figures) for name, figures in test.per_class.items() if figures.images and figures.f1 is not None]
    return sorted(tested, key=lambda row: row[1].f1 or 0.0)[:_MOST_WEAK]


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that differ from their defaults, without names of folders on the machine that trained."""
    shown = {f.name: f.default for f in fields(Config) if f.metadata["group"] not in ("data", "result", "backbone")}
    return {name: value for name, value in config.items() if name in shown and value not in (None, shown[name])}


def _weights(backbone: Backbone | None) -> str:
    """Return where the weights come from that the training started with, and under which licence they are."""
    if backbone is None or backbone.weights == NONE:
        return "The network was trained from random weights, so no licence of other weights applies."
    if backbone.weights == IMAGENET and backbone.name in efficientnet_lite.VARIANTS:
        package = efficientnet_lite.package_of(backbone.name)
        return (
            f"The training started from the ImageNet weights of {backbone.name} in the Python package {package}, whose "
            f"licence is {efficientnet_lite.LICENCE}."
        )
    if backbone.weights == IMAGENET:
        return (
            f"The training started from the ImageNet weights of {backbone.name} that keras.applications downloads. "
            "Their licence is for their owner to state."
        )
    if ":" in backbone.name:
        return f"The training started from the stored model {backbone.name}, whose card says more."
    return (
        f"The training started from weights for {backbone.name} in the file {Path(backbone.weights).name}. "
        "Their licence is for their owner to state."
    )


def _recalibrated(source: Recalibration) -> str:
    return markdown(
        f"A copy of {source['parent']}: its temperature, its limits of answers and its drift baseline were measured "
        f"again on {source['images']:,} images of {shorten(source['data'], _NAME_COLUMNS)} (fingerprint "
        f"{source['fingerprint'][:16]}), without training. Its classes and accuracy are those of {source['parent']}; "
        "figures of calibration, novelty and sets of classes in a card are those from before."
    )


def _core_seconds(report: TrainingReport) -> float | None:
    """Return time times cores, the most that training can have taken; None if it wasn't the CPUs of one machine."""
    about: Environment = report.environment
    if about.workers or about.device not in (None, "cpu"):
        return None
    compared = report.train.choice.seconds if report.train.choice else 0.0
    return (report.train.seconds + compared) * about.cpus
