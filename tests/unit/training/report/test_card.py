"""The card of a model, from a report made up for these tests and from entries of the store, as Markdown is read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.models import ModelStore
from markdown_it import MarkdownIt
from markdown_it.token import Token

from model_format import card as model_card
from model_format.layout import CARD
from model_format.metadata import Metadata
from tests.reports import training_report
from tests.stored import SCHEMA_1, place
from training.cli import PROGRAM
from training.report import card
from training.report.choice_document import Choice, Compared
from training.report.display import percent, printable
from training.report.document import Backbone, TrainingReport
from training.report.figures import Limits
from training.report.metrics import wilson_interval

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own

TAG = "image_classifier:abc123"
HOSTILE = [
    *("<script>alert(1)</script>", "![x](http://e.example/a.png)", "[a](b)", "a|b", "*b* _c_ `d`", "a\n\n# b\x1b[31m"),
    *(
        "--- \n",
        "&lt;",
        "http://e.example",
        "www.e.example",
        "$x^2$",
        "\u202eabc",
        "番茄",
        "~~x~~",
        "back\\slash",
        "\udcff",
    ),
]


class Page:
    """A card as a reader of Markdown sees it: its front matter, its text and its kinds of tokens."""

    def __init__(self, text: str) -> None:
        start, front, self.body = text.split("---\n", 2)
        assert start == ""
        self.front: dict[str, Any] = yaml.safe_load(front)
        self.tokens = list(self._flat(MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(self.body)))
        self.kinds = {token.type for token in self.tokens}
        self.text = " ".join(" ".join(t.content for t in self.tokens if not t.children and t.type != "html").split())

    def _flat(self, tokens: list[Token]) -> Iterator[Token]:
        for token in tokens:
            yield token
            yield from self._flat(token.children or [])

    def cells(self) -> list[str]:
        """Return the text of each cell of a table."""
        following = zip(self.tokens, self.tokens[1:], strict=False)
        found = [inline for opened, inline in following if opened.type == "td_open"]
        return ["".join(part.content for part in cell.children or []) for cell in found]


def changed(report: TrainingReport, section: str, **values: Any) -> TrainingReport:
    return replace(report, **{section: replace(getattr(report, section), **values)})


def about(**values: Any) -> Metadata:
    stored = yaml.safe_load((SCHEMA_1 / "model.yaml").read_text())["metadata"]
    return Metadata.from_metadata({**stored, **values}, TAG)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    """An empty model store, as BentoML's own."""
    models = tmp_path / "models"
    models.mkdir()
    BentoMLContainer.model_store.set(ModelStore(models))
    yield models
    BentoMLContainer.model_store.reset()


def placed(store: Path, *, metadata: dict[str, Any] | None = None) -> str:
    """Return the tag of an entry without a card, of an older training, with other metadata if some is given."""
    tag = place(store.parent)
    if metadata is not None:
        file = store / Path(*tag.split(":")) / "model.yaml"
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"metadata": metadata}))
    return tag


def test_the_card_says_what_the_model_is_how_good_for_whom_and_what_not_for() -> None:
    report = training_report(["cat", "dog"])
    low, high = (percent(end) for end in wilson_interval(report.test.accuracy, 24))
    page = Page(card.of_run(report, TAG))
    for expected in (
        *(TAG, "“cat”, “dog”", "48 x 48", "model.onnx (1.2 MB)", "290,314", "90.0%, of fp32 95.0%"),
        *("“leaves”", "1,234: 24 for training, 24 for validation, 24 for test", "0123456789abcdef" * 4),
        *("1 unusable, 0 excluded by a list, 3 that the test images have too", "2.5 : 1; treatment: class weights"),
        *("macro F1 from 0.346 to 0.457", "20, the weights of epoch 2 were kept", "early stopping", "adamw", "3f1c2ab"),
        *("24 test images", f"95% interval {low} to {high}", "0.099 before temperature scaling by 1.375"),
        *("0.8% of the test images are called unknown", "a promise of 95.0%: 96.1% hold the true class"),
        *("fewer than 20 images: “cat”, “dog”", f"only known to lie between {low} and {high}", "?unknown=1"),
        *("no licence of other weights applies", "took 3 min 12 s, on 2 CPUs", "6 min 24 s at most", "not measured"),
    ):
        assert expected in page.text, expected
    assert [page.cells()[i] for i in (0, 5, 6)] == ["“dog”", "12", "“cat”"]  # the weaker one first


def test_the_front_matter_is_that_of_hugging_face_and_states_no_licence_that_nobody_gave() -> None:
    report = training_report(["cat", "dog"])
    front = Page(card.of_run(report, TAG)).front
    assert front["pipeline_tag"] == "image-classification"
    assert "license" not in front
    (index,) = front["model-index"]
    (result,) = index["results"]
    assert (index["name"], result["dataset"]["name"]) == ("image_classifier", "leaves")
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values == {"accuracy": round(report.test.accuracy, 4), "f1": pytest.approx(report.test.f1.macro, abs=1e-4)}


def test_names_of_classes_and_folders_are_text_and_never_markup() -> None:
    """The kind: a name from the user's disk that becomes a heading, an image, a link, HTML or a control code."""
    plain = Page(card.of_run(training_report([f"class {i}" for i in range(len(HOSTILE))]), TAG))
    for name in HOSTILE:
        report = changed(training_report(HOSTILE), "data", name=name, root=name)
        choice = Choice(name, name, [Compared(name, None, None, None, None, None, None, name)], 1, 1, 1.0)
        page = Page(card.of_run(changed(report, "train", choice=choice, config={"optimizer": name}), TAG))
        assert page.kinds == plain.kinds
        assert len([t for t in page.tokens if t.type == "heading_open"]) == 8
        assert all(
            f"“{printable(one)}”" in "".join(t.content for t in page.tokens if not t.children) for one in HOSTILE
        )
        assert page.front["model-index"][0]["results"][0]["dataset"]["name"] == printable(name)
        assert page.body.isprintable() or set(filter(lambda c: not c.isprintable(), page.body)) == {"\n"}
        assert "http://" not in page.body
        assert "www." not in page.body


@pytest.mark.parametrize(
    ("backbone", "says"),
    [
        (Backbone("efficientnet-lite0", "imagenet", "a" * 64), "whose licence is Apache-2.0"),
        (Backbone("mobilenetv2", "imagenet", None), "keras.applications downloads. Their licence is for their owner"),
        (Backbone("vgg16", "/home/someone/w.h5", "b" * 64), "in the file w.h5. Their licence is for their owner"),
        (Backbone("vgg16", "none", None), "no licence of other weights applies"),
        (Backbone("cats:v1", "its own", None), "from the stored model cats:v1"),
    ],
)
def test_the_licence_is_that_of_the_pretrained_weights_as_far_as_it_is_known(backbone: Backbone, says: str) -> None:
    page = Page(card.of_run(changed(training_report(["cat", "dog"]), "train", backbone=backbone), TAG))
    assert says in page.text
    assert "/home" not in page.body
    assert backbone.sha256 is None or backbone.sha256 in page.text


def test_the_comparison_of_networks_is_shown_with_the_reason() -> None:
    lite = Compared("efficientnet-lite0 at 128", 0.77, [0.7, 0.82], 0.71, 30.0, 2.1, 13.5, None)
    small = Compared("small", None, None, None, None, None, None, "too slow")
    choice = Choice(lite.name, "the best by accuracy", [lite, small], 400, 100, 90.0)
    page = Page(card.of_run(changed(training_report(["cat", "dog"]), "train", choice=choice), TAG))
    assert "Chosen: efficientnet-lite0 at 128. The best by accuracy." in page.text
    assert page.cells()[:7] == [lite.name, "77.0%", "70.0% to 82.0%", "0.710", "30.0 s", "2.1", "13.5"]
    assert page.cells()[7:9] == ["small", "left out: too slow"]
    # Of the comparison too: (192.2 s + 90 s) x 2 cores.
    assert "9 min 24 s at most" in page.text


def test_what_was_not_measured_is_said_and_not_guessed() -> None:
    report = training_report(["cat", "dog"])
    report = replace(report, limits=Limits("with --refit no image was held out", 0, None, None, []), adjustment=None)
    page = Page(card.of_run(changed(report, "environment", device="2 x gpu"), TAG))
    assert "It can't say that an image is unknown: with --refit no image was held out." in page.text
    assert "Novelty" not in page.text
    assert "device: 2 x gpu" in page.text
    assert "cores" not in page.text.replace("scores", "")


def test_a_stored_card_is_printed_as_it_is(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tag = placed(store)
    model_card.write(store / Path(*tag.split(":")), "# 番茄\n")
    assert PROGRAM.main(["card", "image_classifier"]) == 0
    assert capsys.readouterr() == ("# 番茄\n", "")


def test_an_entry_without_a_card_gets_one_of_its_metadata(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tag = placed(store)
    assert PROGRAM.main(["card", tag]) == 0
    page = Page(capsys.readouterr().out)
    for expected in (
        *("stored without a card", tag, "“blue”, “green”, “red”", "60: 48 for training", "f879fb66f0cf39ed"),
        *("6 test images", "95% interval 61.0% to 100.0%", "09678bd56042", "no licence of other weights applies"),
        *("8 x 8", "width 4", "accuracy 100.0%, of fp32 100.0%"),
    ):
        assert expected in page.text, expected
    assert "energy" not in page.text


def test_an_entry_with_nothing_but_classes_gets_a_card_that_claims_nothing(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tag = placed(store, metadata={"class_names": ["a", "b"], "image_size": 8})
    assert PROGRAM.main(["card", tag]) == 0
    page = Page(capsys.readouterr().out)
    assert "“a”, “b”" in page.text
    assert "Nothing here shows how good it is." in page.text
    assert "model-index" not in page.front


@pytest.mark.parametrize("metadata", [{"metrics": {"accuracy": "good"}}, {"data": {"name": "x"}}, {"data": [1]}])
def test_metadata_that_no_card_can_be_made_of_is_one_line(
    store: Path,
    capsys: pytest.CaptureFixture[str],
    metadata: dict[str, Any],
) -> None:
    tag = placed(store, metadata={"class_names": ["a", "b"], "image_size": 8} | metadata)
    assert PROGRAM.main(["card", tag]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith(f"error: {tag} has no card, and none can be made of its metadata (")
    assert error.count("\n") == 1


def test_a_model_that_is_missing_or_a_card_that_is_no_text_is_one_line(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tag = placed(store)
    assert PROGRAM.main(["card", "nothing:v1"]) == 1
    assert capsys.readouterr().err.startswith("error: no model nothing:v1 in the store; ")
    file = store / Path(*tag.split(":")) / CARD
    file.write_bytes(b"\xff\xfe\x00")
    assert PROGRAM.main(["card", tag]) == 1
    assert capsys.readouterr().err == f"error: {file} can't be read: it is no UTF-8 text\n"
    assert PROGRAM.main(["card"]) == 2


def test_a_recalibrated_copy_says_so_above_the_card_of_its_parent(tmp_path: Path) -> None:
    source = {"parent": "image_classifier:old", "data": "new *leaves*", "images": 300, "fingerprint": "f" * 64}
    entry, copy = shutil.copytree(SCHEMA_1, tmp_path / "entry"), "image_classifier:new"
    of_metadata = Page(card.of_recalibrated(entry, about(recalibration=source), copy))
    model_card.write(entry, card.of_run(training_report(["cat", "dog"]), "image_classifier:old"))
    of_card = Page(card.of_recalibrated(entry, about(recalibration=source), copy))
    for page in (of_metadata, of_card):
        assert page.front["pipeline_tag"] == "image-classification"
        assert page.text.startswith("image_classifier:new A copy of image_classifier:old: its temperature")
        assert "again on 300 images of new *leaves*" in page.text
    assert "“leaves”" in of_card.text
