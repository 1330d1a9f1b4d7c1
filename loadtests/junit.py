"""Write the verdict as JUnit XML for CI systems: a test for each service level, or one for the capacity."""

from __future__ import annotations

from xml.etree import ElementTree

from loadtests.run import Run


def document(run: Run) -> bytes:
    """Return the XML document."""
    suite = ElementTree.Element("testsuite", name="load test", time=f"{run.seconds or run.now:.1f}")
    for name, holds, text in _cases(run):
        case = ElementTree.SubElement(suite, "testcase", classname="service levels", name=name)
        ElementTree.SubElement(case, "system-out").text = text
        if not holds:
            ElementTree.SubElement(case, "failure", message=text)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    ElementTree.indent(suite)
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))


def _cases(run: Run) -> list[tuple[str, bool, str]]:
    """Return each test: its name, whether it passed, and its figures."""
    verdict = run.verdict()
    if run.shape.steps:
        # The search ends when a step misses a level, so a missed step is not a failure.
        steps = [f"{step.rate:.4g}/s: {step.verdict}" for step in run.steps]
        return [("capacity", verdict.holds, "\n".join([run.summary(), *steps]))]
    if not verdict.requests or not verdict.judged:
        return [("requests", verdict.holds, str(verdict))]
    return [(one.level, one.holds, one.text) for one in verdict.judged]
