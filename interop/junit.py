"""A run as JUnit XML: a suite for each client at each broker, and one for its rules."""

from collections.abc import Iterable
from xml.etree import ElementTree

from interop.results import FAIL, SKIP, Matrix
from interop.rules.judge import ELSEWHERE, FAILS


def as_junit(matrices: Iterable[Matrix]) -> str:
    """The XML text."""
    suites = ElementTree.Element("testsuites")
    for matrix in matrices:
        for column in matrix.columns:
            suite = _suite(suites, f"{matrix.title} / {column.client} {column.version}".strip())
            for answer in column.answers:
                case = _case(suite, column.client, answer.scenario, answer.ms)
                if answer.result == FAIL:
                    failure = ElementTree.SubElement(case, "failure", message=answer.reason)
                    failure.text = "\n".join(matrix.dialogue(column.client, answer.scenario))
                elif answer.result == SKIP:
                    ElementTree.SubElement(case, "skipped", message=answer.reason)
        if matrix.verdicts:
            suite = _suite(suites, f"{matrix.title} / rules")
        for verdict in matrix.verdicts:
            case = _case(suite, "rules", verdict.rule.name, 0)
            if verdict.result == FAILS:
                failure = ElementTree.SubElement(case, "failure", message=verdict.rule.words)
                failure.text = "\n".join(verdict.dialogue)
            elif verdict.result == ELSEWHERE:
                ElementTree.SubElement(case, "skipped", message=verdict.rule.elsewhere)
        if matrix.error:
            case = _case(_suite(suites, matrix.title), "broker", "connect", 0)
            ElementTree.SubElement(case, "failure", message=matrix.error)
    for suite in suites:
        suite.set("tests", str(len(suite)))
        suite.set("failures", str(len(suite.findall("*/failure"))))
        suite.set("skipped", str(len(suite.findall("*/skipped"))))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _suite(suites: ElementTree.Element, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suites, "testsuite", name=name)


def _case(suite: ElementTree.Element, group: str, name: str, ms: int) -> ElementTree.Element:
    seconds = f"{ms / 1000:.3f}"
    return ElementTree.SubElement(suite, "testcase", classname=group, name=name, time=seconds)
