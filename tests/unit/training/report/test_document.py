"""metrics.json as types: what is written is read back, and the published schema describes it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema_rs
import pytest

from tests.reports import evaluation_report, training_report
from training.report import record, schema
from training.report.document import EvaluationReport, Report, TrainingReport

CLASSES = ["cat", "dog"]
PARTS = ["train", "test"]


@pytest.mark.parametrize(
    "report", [training_report(CLASSES), evaluation_report(CLASSES)], ids=["training", "evaluation"]
)
def test_a_report_is_the_same_once_written_and_read(report: Report) -> None:
    text = json.dumps(report.to_json(), allow_nan=False)
    assert type(report).from_json(json.loads(text)) == report
    assert not list(jsonschema_rs.validator_for(schema.schema()).iter_errors(json.loads(text)))


def test_a_section_that_may_be_null_is_written_as_null() -> None:
    document = replace(training_report(CLASSES), validation=None).to_json()
    assert document["validation"] is None
    assert document["model"]["refused"] is None


def test_a_field_with_a_default_is_left_out_where_it_says_nothing() -> None:
    report = training_report(CLASSES)
    assert "workers" not in report.to_json()["environment"]
    together = replace(report, environment=replace(report.environment, workers=2))
    assert together.to_json()["environment"]["workers"] == 2


def test_the_class_of_a_sample_is_called_class_in_json() -> None:
    group = {
        "files": [
            {"file": "cat/1.png", "part": "train", "class": "cat"},
            {"file": "dog/1.png", "part": "test", "class": "dog"},
        ],
        "equal": True,
        "across_parts": True,
        "several_labels": True,
    }
    document = training_report(CLASSES).to_json()
    document["checks"]["duplicates"]["listed"] = [group]
    report = TrainingReport.from_json(document)
    assert report.checks.duplicates.listed[0].files[1].class_ == "dog"
    assert report.to_json() == document


def test_the_published_schema_is_the_one_of_the_code() -> None:
    assert schema.PUBLISHED.read_text(encoding="utf-8") == schema.text(), "run python -m training.report.schema"


def test_a_report_without_one_of_its_sections_is_refused() -> None:
    validator = jsonschema_rs.validator_for(schema.schema())
    for section in ("test", "data", "model", "environment"):
        document = evaluation_report(CLASSES).to_json()
        del document[section]
        assert not validator.is_valid(document)
        with pytest.raises(ValueError, match=section):
            EvaluationReport.from_json(document)


@pytest.mark.parametrize("content", [None, "", "{", '{"test": {}}'])
def test_a_report_that_is_missing_cut_off_or_of_another_form_is_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "metrics.json").write_text(content)
    assert record.read(tmp_path) is None
