"""The page, from a report and pictures made up for these tests."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.reports import evaluation_report, training_report
from training.report import html, metrics, record
from training.report.check_document import RejectedFile
from training.report.document import LabelConflict, Report, TrainingReport
from training.report.findings import findings

HOSTILE = ["<script>alert(1)</script>", "\"quoted\" & 'so'", "[red]$x^2$", "a\nb\x1b[31m", "番茄叶片", "</style>"]
_PICTURES = (
    *("learning_curves", "confusion_matrix", "roc_curves", "reliability", "reliability_before"),
    *("mistakes", "explanations", "class_balance", "samples"),
)


def changed(report: TrainingReport, section: str, **values: Any) -> TrainingReport:
    """Return `report` with other values in one section."""
    return replace(report, **{section: replace(getattr(report, section), **values)})


def all_pictures() -> dict[str, bytes]:
    drawn: dict[str, bytes] = {}
    for name in _PICTURES:
        stream = io.BytesIO()
        Image.new("RGB", (1600, 200 + len(drawn))).save(stream, "PNG")
        drawn[name] = stream.getvalue()
    return drawn


class Page(HTMLParser):
    """A page as a browser reads it: its tags, its addresses and its text."""

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


def written(report: Report, drawn: dict[str, bytes] | None = None) -> Page:
    return Page(html.render(report, drawn or {}).encode("utf-8", "backslashreplace").decode())


def test_everything_in_the_report_is_on_the_page(tmp_path: Path) -> None:
    report = training_report(["cat", "dog"])
    text = written(report).text

    for expected in (
        *("leaves", "/data/leaves", "1,234", "48 x 48", "2.5 : 1", "class weights", "1.25", "17", "12.3 s"),
        *("a/1.png", "b/2.png", "a/broken.jpg", "corrupt_image", "truncated JPEG image", "0123456789abcdef"),
        *("early stopping", "3 min 12 s", "8,123", "87.6%", "0.432", "adamw", "3 training images were left out"),
        *("Published as image_classifier:abc123", "290,314", "1.2 MB", "2.4e-07", "dropped", "90.0% (fp32 95.0%)"),
        *("Scores are divided by 1.375", "0.099", "0.765", "0.012", "0.543"),
        *("MODEL_TAG=image_classifier:abc123 bentoml serve", "loses 5.0 points"),
        *("3f1c2ab", "3.11.9", "3.15.1", "x86_64", "2026-01-12T10:11:12+00:00"),
        *(f"{getattr(report.test.per_class['cat'], key):.3f}" for key in ("precision", "recall", "f1", "auc")),
    ):
        assert expected in text


def test_the_page_refers_to_nothing_outside_itself(tmp_path: Path) -> None:
    drawn = all_pictures()
    report = training_report(["cat", "dog", "owl"])
    record.write(tmp_path / "run", report, drawn)
    page = written(report, drawn)

    assert len(page.addresses) == len(drawn) == 9
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    assert not re.search(r"url\(|@import", (tmp_path / "run/report.html").read_text(encoding="utf-8"))
    names = {"report.html", "metrics.json", *(f"{n}.png" for n in drawn)}
    assert {path.name for path in (tmp_path / "run").iterdir()} == names
    for name, png in drawn.items():
        assert (tmp_path / "run" / f"{name}.png").read_bytes() == png


def test_hostile_names_are_shown_and_do_nothing(tmp_path: Path) -> None:
    report = training_report(HOSTILE)
    rejected = [RejectedFile(HOSTILE[0], "foreign", HOSTILE[5])]
    report = changed(report, "data", name=HOSTILE[0], root=HOSTILE[0], rejected=rejected)
    report = changed(report, "model", published=False, tag=None, refused=HOSTILE[0])
    report = changed(report, "train", config={HOSTILE[0]: HOSTILE[1]})
    page = written(report, all_pictures())

    assert "script" not in page.tags
    assert page.tags.count("style") == 1
    for name in (HOSTILE[0], HOSTILE[1], HOSTILE[2], HOSTILE[4], HOSTILE[5]):
        assert name in page.text


def test_a_file_name_that_is_not_utf8_is_shown_escaped(tmp_path: Path) -> None:
    report = training_report(["cat", "dog"])
    rejected = [RejectedFile("cat/caf\udce9.jpg", "corrupt_image", "truncated")]
    conflicts = [LabelConflict(["\udcff<b>.png"], ["cat", "dog"])]
    report = changed(report, "data", rejected=rejected, label_conflicts=conflicts, root="/data/\udc80")
    page = written(report)

    assert "cat/caf\\udce9.jpg" in page.text
    assert "\\udcff<b>.png" in page.text
    assert "b" not in page.tags[page.tags.index("h2") :]


def test_the_page_says_why_a_model_is_not_calibrated(tmp_path: Path) -> None:
    report = training_report(["cat", "dog"])
    report = changed(report, "calibration", reason="7 validation images are too few")
    text = written(report).text
    assert "not calibrated: 7 validation images are too few." in text
    assert "divided by" not in text


def test_the_page_says_why_nothing_is_explained(tmp_path: Path) -> None:
    report = training_report(["cat", "dog"])
    report = changed(report, "explanations", reason="the network has no convolutional feature map")
    assert "No map can be shown: the network has no convolutional feature map." in written(report).text


def test_the_page_explains_the_learning_curves_of_a_training_that_leaves_images_out(tmp_path: Path) -> None:
    report = training_report(["cat", "dog"])
    assert "left out until the last epochs" not in written(report, all_pictures()).text
    report = changed(report, "train", config={"data_pruning": 0.5})
    assert "left out until the last epochs" in written(report, all_pictures()).text


def test_an_evaluation_has_a_page_without_the_sections_of_a_training(tmp_path: Path) -> None:
    headings = {"Images per class", "Test results", "Environment"}
    of_training = {"Training", "Configuration", "Data checks", "Temperature scaling", "Where the network looks"}
    trained = written(training_report(["cat", "dog"])).text
    evaluated = written(evaluation_report(["cat", "dog"])).text

    assert {heading for heading in headings | of_training if heading in trained} == headings | of_training
    assert {heading for heading in headings | of_training if heading in evaluated} == headings
    assert "Evaluation report" in evaluated
    assert "Evaluated image_classifier:abc123" in evaluated


def test_a_training_without_validation_images_shows_no_validation_figures(tmp_path: Path) -> None:
    report = training_report(["cat", "dog"])
    assert "validation loss" in written(report).text
    assert "validation loss" not in written(replace(report, validation=None)).text


@pytest.mark.parametrize(
    ("model", "verdict"),
    [
        ({"tag": "m:1", "published": True, "refused": None}, "Published as m:1"),
        ({"tag": None, "published": False, "refused": "accuracy too low"}, "Not published: accuracy too low"),
        ({"tag": None, "published": False, "refused": None}, "Not published"),
    ],
)
def test_the_verdict_says_whether_the_model_was_published(tmp_path: Path, model: dict[str, Any], verdict: str) -> None:
    report = training_report(["cat", "dog"])
    report = changed(report, "model", **model)
    text = written(report).text
    assert verdict in text
    assert ("bentoml serve" in text) == model["published"]


def test_a_long_list_of_files_is_cut_off_with_a_count_of_the_rest(tmp_path: Path) -> None:
    report = training_report(["cat", "dog"])
    rejected = [RejectedFile(f"file-{i}.jpg", "corrupt_image", "truncated") for i in range(1500)]
    report = changed(report, "data", rejected=rejected)
    text = written(report).text

    assert "file-199.jpg" in text
    assert "file-200.jpg" not in text
    assert "and 1,300 more" in text


def test_undefined_figures_are_shown_as_a_dash(tmp_path: Path) -> None:
    report = training_report(["cat", "dog"])
    test = metrics.evaluate(np.array([0, 0]), np.array([[0.9, 0.1], [0.6, 0.4]]), ["cat", "dog"])
    report = replace(report, test=test)

    assert "dog - - - - 0" in written(report).text


def test_many_classes_are_listed_worst_first(tmp_path: Path) -> None:
    names = [f"class-{i:02d}" for i in range(25)]
    report = training_report(names)
    f1 = {name: figures.f1 or 0 for name, figures in report.test.per_class.items()}
    listed = re.findall(r"class-\d\d", written(report).text.split("worst F1 first")[1])[:25]

    assert [f1[name] for name in listed] == sorted(f1.values())


def test_a_report_without_problems_has_no_findings() -> None:
    report = training_report(["cat", "dog"])
    labels = np.repeat([0, 1], 200)
    report = replace(report, test=metrics.evaluate(labels, np.eye(2)[labels], ["cat", "dog"]))
    report = changed(report, "data", label_conflicts=[], rejected=[], leaked=0)

    assert findings(report) == []


def test_each_problem_is_a_finding() -> None:
    report = training_report(["cat", "dog", "owl"])
    labels = np.array([0] * 8 + [1] * 2)
    test = metrics.evaluate(labels, np.tile([0.9, 0.05, 0.05], (10, 1)), ["cat", "dog", "owl"])
    report = changed(replace(report, test=test), "train", stopped="finished", epochs=3, best_epoch=3)
    text = "\n".join(findings(report))

    assert "is not clearly better than always answering “cat”, which is right on 80.0%" in text
    assert "With 10 test images, the accuracy is only known to lie between 49.0% and 94.3%" in text
    assert "There are no test images of “owl”" in text
    assert "Never predicted: “dog”" in text
    assert "The last epoch was the best one" in text
    assert "Training accuracy is 20 percentage points above validation accuracy" in text
    assert "1 image lies in the folders of several classes" in text
    assert "1 file could not be used" in text


def test_the_page_shows_what_sets_promise_and_what_was_seen(tmp_path: Path) -> None:
    text = " ".join(written(training_report(["cat", "dog"])).text.split())
    assert "0.8% of them are called unknown" in text
    assert "95.0%96.1%1.23478.9%" in text.replace(" ", "")


def test_the_page_says_why_a_model_has_no_limits(tmp_path: Path) -> None:
    reason = "7 held-out images are too few"
    report = changed(training_report(["cat", "dog"]), "limits", reason=reason, unknown=None, separation=None, sets=[])
    assert f"no sets of classes: {reason}." in written(report).text
