"""The page, from a report and pictures made up here."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.report import html, metrics
from training.report.findings import findings

HOSTILE = ["<script>alert(1)</script>", "\"quoted\" & 'so'", "[red]$x^2$", "a\nb\x1b[31m", "番茄叶片", "</style>"]
_PICTURES = (
    *("learning_curves", "confusion_matrix", "roc_curves", "reliability", "reliability_before"),
    *("mistakes", "explanations", "class_balance", "samples"),
)


def full_report(class_names: list[str]) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(len(class_names)), 12)
    probabilities = rng.dirichlet(np.ones(len(class_names)), len(labels)) * 0.6
    probabilities[np.arange(len(labels)), labels] += 0.4
    counts = dict.fromkeys(class_names, 12)
    return {
        "test": metrics.evaluate(labels, probabilities, class_names),
        "calibration": {
            "temperature": 1.375,
            "reason": None,
            "before": {"ece": 0.0987, "log_loss": 0.7654},
            "after": {"ece": 0.0123, "log_loss": 0.5432},
        },
        "explanations": {"reason": None},
        "validation": {"loss": 0.4321, "accuracy": 0.8765},
        "data": {
            "name": "leaves",
            "root": "/data/leaves",
            "classes": class_names,
            "images": 1234,
            "image_size": 48,
            "splits": {"train": counts, "validation": counts, "test": counts},
            "imbalance": {
                "ratio": 2.5,
                "treatment": "class_weights",
                "class_weights": dict.fromkeys(class_names, 1.25),
            },
            "duplicates": 17,
            "label_conflicts": [{"files": ["a/1.png", "b/2.png"], "classes": class_names[:2]}],
            "rejected": [{"file": "a/broken.jpg", "code": "corrupt_image", "reason": "truncated JPEG image"}],
            "leaked": 3,
            "fingerprint": "0123456789abcdef" * 4,
            "decode_seconds": 12.34,
            "cached": False,
        },
        "train": {
            "epochs": 20,
            "best_epoch": 2,
            "stopped": "early_stopping",
            "seconds": 192.2,
            "images_per_second": 8123.4,
            "history": {
                "loss": [1.0, 0.5, 0.4],
                "accuracy": [0.5, 0.7, 0.8],
                "val_loss": [1.1, 0.6, float("nan")],
                "val_accuracy": [0.4, 0.65, 0.6],
                "learning_rate": [0.002, 0.001, 0.0],
            },
            "config": {"optimizer": "adamw", "cache_dir": None},
        },
        "model": {
            "tag": "image_classifier:abc123",
            "published": True,
            "refused": None,
            "parameters": 290_314,
            "files": {"model.onnx": 1_163_456, "model.keras": 3_600_123},
            "onnx_max_difference": 2.4e-7,
            "int8": {"kept": False, "accuracy": 0.9, "accuracy_fp32": 0.95, "reason": "loses 5.0 points"},
        },
        "environment": {
            "git_revision": "3f1c2ab",
            "python": "3.11.9",
            "versions": {"keras": "3.15.1"},
            "machine": "x86_64",
            "cpus": 2,
            "started": "2026-01-12T10:11:12+00:00",
        },
    }


def all_pictures() -> dict[str, bytes]:
    drawn: dict[str, bytes] = {}
    for name in _PICTURES:
        stream = io.BytesIO()
        Image.new("RGB", (1600, 200 + len(drawn))).save(stream, "PNG")
        drawn[name] = stream.getvalue()
    return drawn


class Page(HTMLParser):
    """What a browser would make of a page: its tags, its addresses and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"<{tag} {name}> runs a script"
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                self.addresses.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def written(folder: Path, content: dict[str, Any], drawn: dict[str, bytes] | None = None) -> Page:
    return Page(html.write(folder / "run", content, drawn or {}).read_text(encoding="utf-8"))


def test_everything_in_the_report_is_on_the_page(tmp_path: Path) -> None:
    content = full_report(["cat", "dog"])
    text = written(tmp_path, content).text

    for expected in (
        *("leaves", "/data/leaves", "1,234", "48 x 48", "2.5 : 1", "class weights", "1.25", "17", "12.3 s"),
        *("a/1.png", "b/2.png", "a/broken.jpg", "corrupt_image", "truncated JPEG image", "0123456789abcdef"),
        *("early stopping", "3 min 12 s", "8,123", "87.6%", "0.432", "adamw", "3 training images left out"),
        *("Published as image_classifier:abc123", "290,314", "1.2 MB", "2.4e-07", "dropped", "90.0% (fp32 95.0%)"),
        *("Scores are divided by 1.375", "0.099", "0.765", "0.012", "0.543"),
        *("MODEL_TAG=image_classifier:abc123 bentoml serve", "loses 5.0 points"),
        *("3f1c2ab", "3.11.9", "3.15.1", "x86_64", "2026-01-12T10:11:12+00:00"),
        *(f"{content['test']['per_class']['cat'][key]:.3f}" for key in ("precision", "recall", "f1", "auc")),
    ):
        assert expected in text


def test_the_page_refers_to_nothing_outside_itself(tmp_path: Path) -> None:
    drawn = all_pictures()
    page = written(tmp_path, full_report(["cat", "dog", "owl"]), drawn)

    assert len(page.addresses) == len(drawn) == 9
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    assert not re.search(r"url\(|@import", (tmp_path / "run/report.html").read_text(encoding="utf-8"))
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"report.html", *(f"{n}.png" for n in drawn)}
    for name, png in drawn.items():
        assert (tmp_path / "run" / f"{name}.png").read_bytes() == png


def test_hostile_names_are_shown_and_do_nothing(tmp_path: Path) -> None:
    content = full_report(HOSTILE)
    content["data"]["name"] = content["data"]["root"] = HOSTILE[0]
    content["data"]["rejected"] = [{"file": HOSTILE[0], "code": "foreign", "reason": HOSTILE[5]}]
    content["model"].update(published=False, tag=None, refused=HOSTILE[0])
    content["train"]["config"] = {HOSTILE[0]: HOSTILE[1]}
    page = written(tmp_path, content, all_pictures())

    assert "script" not in page.tags
    assert page.tags.count("style") == 1
    for name in (HOSTILE[0], HOSTILE[1], HOSTILE[2], HOSTILE[4], HOSTILE[5]):
        assert name in page.text


def test_a_file_name_that_is_no_utf8_is_shown_escaped(tmp_path: Path) -> None:
    content = full_report(["cat", "dog"])
    content["data"]["rejected"][0]["file"] = "cat/caf\udce9.jpg"
    content["data"]["label_conflicts"][0]["files"] = ["\udcff<b>.png"]
    content["data"]["root"] = "/data/\udc80"
    page = written(tmp_path, content)

    assert "cat/caf\\udce9.jpg" in page.text
    assert "\\udcff<b>.png" in page.text
    assert "b" not in page.tags[page.tags.index("h2") :]


def test_the_page_says_why_a_model_is_not_calibrated(tmp_path: Path) -> None:
    content = full_report(["cat", "dog"])
    content["calibration"]["reason"] = "7 validation images are too few"
    text = written(tmp_path, content).text
    assert "not calibrated: 7 validation images are too few." in text
    assert "divided by" not in text


def test_the_page_says_why_nothing_is_explained(tmp_path: Path) -> None:
    content = full_report(["cat", "dog"])
    content["explanations"]["reason"] = "the network has no convolutional feature map"
    assert "No map can be shown: the network has no convolutional feature map." in written(tmp_path, content).text


def test_the_page_says_what_leaving_images_out_does_to_the_curves(tmp_path: Path) -> None:
    content = full_report(["cat", "dog"])
    assert "left out until the last epochs" not in written(tmp_path, content, all_pictures()).text
    content["train"]["config"]["data_pruning"] = 0.5
    assert "left out until the last epochs" in written(tmp_path, content, all_pictures()).text


@pytest.mark.parametrize(
    "missing", ["validation", "data", "train", "model", "environment", "calibration", "explanations"]
)
def test_a_missing_section_is_left_out(tmp_path: Path, missing: str) -> None:
    content = full_report(["cat", "dog"])
    del content[missing]
    text = written(tmp_path, content).text

    headings = {"data": "Images a class", "train": "early stopping", "model": "parameters"}
    headings |= {"environment": "Environment", "validation": "validation loss", "calibration": "Temperature scaling"}
    headings |= {"explanations": "Where it looks"}
    for section, heading in headings.items():
        if section != "validation" or missing != "train":  # it stands in that section
            assert (heading in text) == (section != missing)


def test_an_evaluation_alone_makes_a_page(tmp_path: Path) -> None:
    content = full_report(["cat", "dog"])
    content = {"test": content["test"], "model": {"tag": "image_classifier:abc123"}}

    page = written(tmp_path, content)
    assert "Evaluated image_classifier:abc123" in page.text
    assert written(tmp_path, {"test": content["test"]}).text.count("Evaluation report") == 1


@pytest.mark.parametrize(
    ("model", "verdict"),
    [
        ({"tag": "m:1", "published": True, "refused": None}, "Published as m:1"),
        ({"tag": None, "published": False, "refused": "accuracy too low"}, "Not published: accuracy too low"),
        ({"tag": None, "published": False, "refused": None}, "Not published"),
    ],
)
def test_the_verdict_says_what_became_of_the_model(tmp_path: Path, model: dict[str, Any], verdict: str) -> None:
    content = full_report(["cat", "dog"])
    content["model"].update(model)

    text = written(tmp_path, content).text
    assert verdict in text
    assert ("bentoml serve" in text) == model["published"]


def test_long_lists_of_files_are_cut_and_counted(tmp_path: Path) -> None:
    content = full_report(["cat", "dog"])
    content["data"]["rejected"] = [
        {"file": f"file-{i}.jpg", "code": "corrupt_image", "reason": "truncated"} for i in range(1500)
    ]
    text = written(tmp_path, content).text

    assert "file-199.jpg" in text
    assert "file-200.jpg" not in text
    assert "and 1,300 more" in text


def test_undefined_figures_are_shown_as_a_dash(tmp_path: Path) -> None:
    content = full_report(["cat", "dog"])
    content["test"] = metrics.evaluate(np.array([0, 0]), np.array([[0.9, 0.1], [0.6, 0.4]]), ["cat", "dog"])

    assert "dog - - - - 0" in written(tmp_path, content).text


def test_many_classes_are_listed_worst_first(tmp_path: Path) -> None:
    names = [f"class-{i:02d}" for i in range(25)]
    content = full_report(names)
    f1 = {name: figures["f1"] for name, figures in content["test"]["per_class"].items()}
    listed = re.findall(r"class-\d\d", written(tmp_path, content).text.split("worst F1 first")[1])[:25]

    assert [f1[name] for name in listed] == sorted(f1.values())


def test_nothing_is_pointed_out_where_all_is_well() -> None:
    content = full_report(["cat", "dog"])
    labels = np.repeat([0, 1], 200)
    content["test"] = metrics.evaluate(labels, np.eye(2)[labels], ["cat", "dog"])
    content["data"].update(label_conflicts=[], rejected=[], leaked=0)

    assert findings(content) == []


def test_what_deserves_a_look_is_pointed_out() -> None:
    content = full_report(["cat", "dog", "owl"])
    labels = np.array([0] * 8 + [1] * 2)
    content["test"] = metrics.evaluate(labels, np.tile([0.9, 0.05, 0.05], (10, 1)), ["cat", "dog", "owl"])
    content["train"].update(stopped="finished", epochs=3, best_epoch=3)
    text = "\n".join(findings(content))

    assert "can't be told from always answering “cat”, which is right on 80.0%" in text
    assert "With 10 test images the accuracy is only known to lie between 49.0% and 94.3%" in text
    assert "No test image of “owl”" in text
    assert "Never predicted: “dog”" in text
    assert "The last epoch was the best one" in text
    assert "Training accuracy is 20 points above validation" in text
    assert "1 image lies in the folders of several classes" in text
    assert "1 file could not be used" in text
