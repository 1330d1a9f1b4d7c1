"""The results of a run: report, metrics and store entry, with different options."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import jsonschema_rs
import pytest

from tests.folders import write_tree
from tests.integration.training.conftest import SMALL, Run, Sandbox


def test_a_run_prints_the_table_and_the_tag_to_stdout_and_everything_else_to_stderr(run: Run) -> None:
    _, metrics, done = run
    assert done.stdout.splitlines()[-1] == metrics["model"]["tag"]
    assert "macro" in done.stdout
    assert "1 corrupt_image, 1 unsupported_media_type" in done.stderr
    assert "Traceback" not in done.stderr


def test_metrics_have_the_documented_shape_and_a_tiny_network_distinguishes_colours(run: Run) -> None:
    schema = json.loads(Path("docs/metrics.schema.json").read_text())
    assert [str(error) for error in jsonschema_rs.validator_for(schema).iter_errors(run[1])] == []
    test = run[1]["test"]
    assert test["accuracy"] >= 0.9
    for name in ("precision", "recall", "f1"):
        assert set(test[name]) == {"macro", "weighted"}
    assert set(test["per_class"]) == {"red", "green", "blue"}
    assert 0 <= test["ece"] <= 1
    assert test["auc"]["macro"] > 0.9


def test_the_report_lists_duplicates_conflicts_rejects_and_imbalance(run: Run) -> None:
    data = run[1]["data"]
    assert data["duplicates"] == 2
    assert [conflict["classes"] for conflict in data["label_conflicts"]] == [["blue", "green"]]
    assert {(r["file"], r["code"]) for r in data["rejected"]} == {
        ("red/readme.txt", "unsupported_media_type"),
        ("red/cut.png", "corrupt_image"),
    }
    assert data["imbalance"]["treatment"] == "logit-adjustment"
    assert data["imbalance"]["ratio"] > 2


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_report_needs_no_other_file(run: Run) -> None:
    parser = _References()
    parser.feed((run[0] / "report.html").read_text())
    pictures = [reference for reference in parser.found if reference.startswith("data:image/png")]
    assert len(pictures) >= 6
    assert not [reference for reference in parser.found if not reference.startswith(("data:", "#"))]


def test_the_store_entry_has_what_the_service_needs(run: Run, sandbox: Sandbox) -> None:
    import yaml

    (entry,) = sandbox.stored()
    about = yaml.safe_load((entry / "model.yaml").read_text())
    assert about["metadata"]["class_names"] == ["blue", "green", "red"]
    assert about["metadata"]["image_size"] == 16
    assert about["metadata"]["data"]["fingerprint"] == run[1]["data"]["fingerprint"]
    assert about["labels"]["data"] == "data"
    assert {"model.keras", "model.onnx", "golden", "README.md"} <= {file.name for file in entry.iterdir()}
    card = (entry / "README.md").read_text()
    assert f"{100 * run[1]['test']['accuracy']:.1f}%" in card
    assert "2 unusable" in card
    assert sandbox.run("card", run[1]["model"]["tag"]).stdout == card
    golden = json.loads((entry / "golden" / "golden.json").read_text())
    assert {image["class"] for image in golden} == {"blue", "green", "red"}


def test_a_stored_model_is_evaluated_on_another_folder(run: Run, sandbox: Sandbox) -> None:
    other = write_tree(sandbox.root / "other", {"red": 5, "blue": 6}, seed=9)
    out = sandbox.root / "evaluation"
    done = sandbox.run("evaluate", "image_classifier:latest", "--data", other, "--out", out)
    assert done.returncode == 0, done.stderr
    found = json.loads((out / "metrics.json").read_text())
    assert found["test"]["images"] == 11
    assert found["test"]["per_class"]["green"]["f1"] is None
    assert found["model"]["tag"] == run[1]["model"]["tag"]
    write_tree(other, {"green": 1})
    (other / "green").rename(other / "purple")
    done = sandbox.run("evaluate", "image_classifier", "--data", other)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "purple is no class of the training data" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        "--optimizer sgd --schedule one-cycle --balance oversample --activation silu --preset overhead --l2 0",
        "--optimizer adamw --schedule cosine --balance none --activation elu --preset none --dropout 0",
    ],
)
def test_the_other_choices_train_and_export_too(sandbox: Sandbox, data: Path, tmp_path: Path, options: str) -> None:
    out = tmp_path / "run"
    done = sandbox.run(
        *("--data", data, "--out", out, "--epochs", 8, "--no-publish", *SMALL, "--dense", 16), *options.split()
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["model"]["onnx_max_difference"] <= 1e-4
    assert metrics["train"]["history"]["loss"][-1] < metrics["train"]["history"]["loss"][0]
    asked = dict(zip(options.split()[::2], options.split()[1::2], strict=True))
    config = metrics["train"]["config"]
    assert (config["optimizer"], config["schedule"]) == (asked["--optimizer"], asked["--schedule"])
    assert metrics["data"]["imbalance"]["treatment"] == asked["--balance"]


def test_a_separate_test_folder_is_never_trained_on_and_may_lack_a_class(sandbox: Sandbox, data: Path) -> None:
    test = write_tree(sandbox.root / "odd (name) \u6d4b" / "test", {"red": 6, "blue": 6}, seed=5)
    (test / "red" / "leak.png").write_bytes((data / "red" / "006.png").read_bytes())
    out = sandbox.root / "separate"
    done = sandbox.run(*("--data", data, "--test-data", test, "--out", out, "--epochs", 1, "--name", "other"), *SMALL)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["data"]["leaked"] == 1
    assert metrics["data"]["splits"]["test"] == {"blue": 6, "green": 0, "red": 7}
    assert metrics["test"]["per_class"]["green"]["f1"] is None
    assert metrics["model"]["tag"].startswith("other:")
    assert "1 training images are also in the test folder" in done.stderr
