"""The verdict as JUnit XML, which CI systems show: a test for each service level or step."""

from __future__ import annotations

from xml.etree import ElementTree

from loadtests.run import Run
from loadtests.slo import Verdict


def document(run: Run) -> bytes:
    """Return the XML."""
    suite = ElementTree.Element("testsuite", name="load test", time=f"{run.seconds or run.now:.1f}")
    cases = [(f"{step.rate:.4g} requests/s", step.verdict) for step in run.steps]
    failures = 0
    for name, verdict in cases or [("all requests", run.verdict())]:
        failures += _cases(suite, name, verdict)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    ElementTree.indent(suite)
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))


def _cases(suite: ElementTree.Element, name: str, verdict: Verdict) -> int:
    """Add a case for each level; returns how many don't hold."""
    judged = [(one.level, one.holds, one.text) for one in verdict.judged] if verdict.requests else []
    failures = 0
    for level, holds, text in judged or [("requests", verdict.holds, str(verdict))]:
        case = ElementTree.SubElement(suite, "testcase", classname=f"service levels, {name}", name=level)
        ElementTree.SubElement(case, "system-out").text = text
        if not holds:
            failures += 1
            ElementTree.SubElement(case, "failure", message=text)
    return failures
