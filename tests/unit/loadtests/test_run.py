"""The records, verdict and report of a load test."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from loadtests import junit, report
from loadtests.histogram import Histogram
from loadtests.record import Record
from loadtests.run import Run

OK = {"shape": "steady", "rate": 10.0, "slo": "p99=200ms,errors=0", "arrivals": "constant"}
SHOWN = {"num_users": 5, "images": "", "report": "", "verdict": ""}


def started(tmp_path: Path | None = None, **options: Any) -> Run:
    return Run.start(argparse.Namespace(**{**OK, **SHOWN, **options}))


def shape(tmp_path: Path, text: str) -> str:
    path = tmp_path / "shape.toml"
    path.write_text(text)
    return str(path)


def answered(run: Run, dues: list[float], milliseconds: float = 20, error: str | None = None) -> None:
    for due in dues:
        run.record.send(due, "/predict", 0.001)
        run.record.answer(due, "/predict", milliseconds, error, "model:1")


def at(run: Run, seconds: float) -> Run:
    run._start -= seconds
    run.end()
    return run


def test_percentiles_are_accurate_to_one_per_cent() -> None:
    histogram = Histogram()
    for milliseconds in range(1, 10_001):
        histogram.add(milliseconds / 10)
    for share in (0.01, 0.5, 0.9, 0.99, 0.999, 1):
        assert histogram.percentile(share) == pytest.approx(1000 * share, rel=0.01)
    assert Histogram().percentile(0.99) == 0
    assert Histogram(histogram.pairs()).percentile(0.5) == histogram.percentile(0.5)


def test_records_of_workers_add_up_to_the_record_of_one_process() -> None:
    parts, whole = [Record(), Record()], Record()
    for due, error in itertools.product((0.1, 0.7, 3.2), (None, "429 queue_full")):
        for record in (parts[error is None], whole):
            record.send(due, "/predict", 0.002)
            record.answer(due, "/predict", 30 + due, error, "model:1")
    total = Record()
    for part in parts:
        total.merge(Record.of(part.plain()))
    assert sorted(total.plain()["seconds"]) == sorted(whole.plain()["seconds"])
    assert total.errors == whole.errors == {"429 queue_full": 3}
    assert total.versions == {"model:1": 6}
    assert total.between(0, 1).good == 2
    assert total.lateness.total == 6


def test_the_number_of_error_kinds_is_bounded() -> None:
    record = Record()
    for number in range(5000):
        record.answer(0, "/predict", 1, f"error {number}")
    assert len(record.errors) <= 101
    assert sum(record.errors.values()) == 5000


def test_a_run_with_good_and_fast_answers_keeps_its_levels() -> None:
    run = started()
    answered(run, [i / 10 for i in range(100)])
    assert at(run, 10).verdict().holds
    assert run.summary() == "p99 20 ms <= 200ms; errors 0 of 100 <= 0"


def test_a_request_that_was_due_but_never_sent_is_an_error() -> None:
    run = started()
    answered(run, [i / 10 for i in range(60)])
    at(run, 10)
    assert not run.verdict().holds
    assert run.unsent == 30  # requests of the last second may still be unsent
    assert "30 were due but not sent" in run.summary()


def test_a_request_that_was_sent_but_never_answered_is_an_error() -> None:
    run = started()
    answered(run, [i / 10 for i in range(100)])
    run.record.send(9.9, "/predict", 0)
    assert "errors 1 of 101 > 0" in at(run, 10).summary()


def test_slow_answers_and_failures_miss_the_levels_and_the_most_frequent_error_is_named() -> None:
    run = started()
    answered(run, [i / 10 for i in range(90)], milliseconds=500)
    answered(run, [9 + i / 10 for i in range(10)], error="429 queue_full")
    at(run, 10)
    assert not run.verdict().holds
    assert "p99 " in run.summary()
    assert "> 200ms" in run.summary()
    assert run.summary().endswith("most frequent error: 429 queue_full (10)")


def test_a_run_without_due_requests_misses_its_levels() -> None:
    assert not at(started(), 0).verdict().holds


STAIRS = "[stairs]\nsteps = { seconds = 2, pause = 1, growth = 2, most = 5 }\n"


def test_the_capacity_is_the_highest_rate_that_kept_the_levels(tmp_path: Path) -> None:
    run = started(shape=shape(tmp_path, STAIRS))
    first, second, third, *_ = run.shape.steps
    answered(run, [first.begin + i / 10 for i in range(20)])
    answered(run, [second.begin + i / 20 for i in range(40)])
    answered(run, [third.begin + i / 40 for i in range(60)])  # 80 were due
    assert [run.judge(step) for step in (first, second, third)] == [True, True, False]
    assert run.capacity == 20
    assert run.verdict().holds
    assert run.summary().startswith("capacity 20/s; at 20/s: p99 20 ms <= 200ms; errors 0 of 40 <= 0; at 40/s: ")
    assert "errors 20 of 80 > 0" in run.summary()


def test_there_is_no_capacity_if_the_first_step_misses_a_level(tmp_path: Path) -> None:
    run = started(shape=shape(tmp_path, STAIRS))
    answered(run, [0.1], milliseconds=900)
    run.judge(run.shape.steps[0])
    assert run.capacity is None
    assert not run.verdict().holds
    assert run.summary().startswith("no rate kept the levels; at 10/s: ")


def test_a_search_for_the_capacity_without_levels_is_refused() -> None:
    with pytest.raises(ValueError, match="--shape find-capacity needs --slo"):
        started(shape="find-capacity", slo="")


def test_junit_has_a_test_for_each_level() -> None:
    run = started()
    answered(run, [i / 10 for i in range(100)], milliseconds=500)
    suite = ElementTree.fromstring(junit.document(at(run, 10)))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    slow, errors = suite.findall("testcase")
    assert slow.get("name") == "p99=200ms"
    failure = slow.find("failure")
    assert failure is not None
    assert "> 200ms" in str(failure.get("message"))
    assert errors.find("failure") is None


def test_junit_of_a_run_without_requests_has_a_failure() -> None:
    suite = ElementTree.fromstring(junit.document(at(started(), 0)))
    assert suite.get("failures") == "1"


def test_the_report_is_one_page_that_needs_no_other_file_and_runs_no_script(tmp_path: Path) -> None:
    run = started()
    answered(run, [i / 10 for i in range(90)])
    answered(run, [9.5], error="<script>alert(1)</script>")
    page = report.write(tmp_path / "deep" / "report", at(run, 10), "http://127.0.0.1:3000/?<b>")
    text = page.read_text()
    assert "Service levels missed" in text
    assert text.count("<svg") == 3
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "?&lt;b&gt;" in text
    for outside in ("src=", "<link", "@import"):
        assert outside not in text
    lines = (page.parent / "seconds.csv").read_text().splitlines()
    assert lines[0] == "second,due,sent,answered,failed,p50_ms,p99_ms,max_ms"
    assert lines[1].startswith("0,10.0,10,10,0,")
    assert lines[10].startswith("9,10.0,1,0,1,,")
