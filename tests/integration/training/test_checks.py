"""`python -m training check` and the checks of a training, on digits with some wrong labels."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.folders import write_tree
from tests.integration.training.conftest import SMALL, Run, Sandbox

CHECK = ["--preset", "text", "--image-size", 8]
HOSTILE = "<script>alert(1).png"


def write_noisy_digits(root: Path, noise: float = 0.06) -> set[str]:
    """Write 900 digits, some into a wrong folder; return the paths of these."""
    digits = load_digits()
    rng = np.random.default_rng(0)
    wrong = set()
    for i, (image, label) in enumerate(zip(digits.images[:900], digits.target[:900].tolist(), strict=True)):
        changed = rng.random() < noise
        folder = (label + int(rng.integers(1, 10))) % 10 if changed else label
        (root / str(folder)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(image * 255 / 16).astype(np.uint8)).save(root / str(folder) / f"{i:04}.png")
        if changed:
            wrong.add(f"{folder}/{i:04}.png")
    return wrong


@dataclass(frozen=True)
class Checked:
    data: Path
    out: Path
    wrong: set[str]
    done: subprocess.CompletedProcess[str]
    section: dict[str, Any]
    listed: list[dict[str, str]]


@pytest.fixture(scope="module")
def checked(sandbox: Sandbox) -> Checked:
    data, out = sandbox.root / "digits", sandbox.root / "check"
    wrong = write_noisy_digits(data)
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(data / "3" / HOSTILE)
    (data / "4" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    done = sandbox.run("check", "--data", data, "--out", out, "--fix", *CHECK)
    assert done.returncode == 0, done.stderr
    with (out / "suspects.csv").open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    return Checked(data, out, wrong, done, json.loads((out / "check.json").read_text())["checks"], listed)


def test_digits_in_a_wrong_folder_are_found(checked: Checked) -> None:
    named = {row["file"].removeprefix("./") for row in checked.listed if row["problem"] == "label"}
    assert len(named & checked.wrong) >= 0.8 * len(checked.wrong)
    assert len(named & checked.wrong) >= 0.6 * len(named)
    assert checked.section["labels"]["accuracy"] > 0.8
    assert f"{checked.section['labels']['suspects']} labels seem wrong" in checked.done.stdout


def test_the_report_shows_the_findings_and_runs_no_script(checked: Checked) -> None:
    page = (checked.out / "report.html").read_text(encoding="utf-8")
    assert "Labels that seem wrong" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert "broken.png" in page
    assert {"doubtful_labels.png", "outliers.png"} <= {path.name for path in checked.out.iterdir()}


def test_no_file_is_moved_and_a_list_is_never_overwritten(checked: Checked, sandbox: Sandbox) -> None:
    assert len(list(checked.data.rglob("*.png"))) == 902
    again = sandbox.run("check", "--data", checked.data, "--out", checked.out, "--fix", *CHECK)
    assert (again.returncode, again.stdout) == (2, "")
    assert "suspects.csv exists already" in again.stderr


def test_a_killed_check_resumes_after_its_last_fold(checked: Checked, sandbox: Sandbox) -> None:
    folds = {path: path.stat().st_mtime_ns for path in (checked.out / "folds").iterdir()}
    assert len(folds) == 3
    again = sandbox.run("check", "--data", checked.data, "--out", checked.out, *CHECK)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in (checked.out / "folds").iterdir()} == folds
    section = json.loads((checked.out / "check.json").read_text())["checks"]
    assert section["labels"] == checked.section["labels"]


def test_with_too_few_images_the_report_says_which_checks_were_skipped(sandbox: Sandbox) -> None:
    root = write_tree(sandbox.root / "two", {"red": 2, "blue": 2})
    with open(os.fsencode(root / "red") + b"/caf\xe9.png", "wb") as file:
        Image.new("L", (9, 9), 7).save(file, "PNG")
    done = sandbox.run("check", "--data", root, "--out", sandbox.root / "few-check", "--fix")
    assert done.returncode == 0, done.stderr
    section = json.loads((sandbox.root / "few-check" / "check.json").read_text())["checks"]
    assert section["labels"]["skipped"] == "it needs two classes of 20 images or more"
    assert section["outliers"]["too_small"] == ["blue", "red"]
    assert section["outliers"]["listed"][0]["file"] == "red/caf\\xe9.png"
    assert b"./red/caf\xe9.png" in (sandbox.root / "few-check" / "suspects.csv").read_bytes()


def test_a_training_checks_its_images_and_says_that_labels_were_not_checked(run: Run) -> None:
    out, document, _ = run
    assert document["checks"]["images"] == document["data"]["images"]
    assert "--check-labels" in document["checks"]["labels"]["skipped"]
    assert "Data checks" in (out / "report.html").read_text(encoding="utf-8")


def test_a_training_leaves_listed_files_out_and_checks_labels_on_request(sandbox: Sandbox, data: Path) -> None:
    (sandbox.root / "list.csv").write_text("file\nred/001.jpg\ngreen/003.gif\n")
    out = sandbox.root / "excluded"
    done = sandbox.run(
        *("--data", data, "--out", out, "--exclude", "list.csv", "--check-labels", "--epochs", 1, "--no-publish"),
        *("--no-int8", *SMALL),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads((out / "metrics.json").read_text())
    assert document["data"]["excluded"] == 2
    assert document["checks"]["labels"]["accuracy"] > 0.9
    assert "2 files left out, as listed in list.csv" in done.stderr
    assert "left out by --exclude" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "data", "--exclude", "none.csv"], 2, "--exclude none.csv: No such file"),
        (["check", "--data", "nowhere"], 1, "no such folder: nowhere"),
        (["check"], 1, "no data: pass --data DIR"),
    ],
)
def test_a_mistake_is_reported_in_one_line(
    sandbox: Sandbox, data: Path, arguments: list[str], code: int, message: str
) -> None:
    done = sandbox.run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1
