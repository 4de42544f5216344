"""The runner: what Great Expectations finds becomes a plain outcome, and no slip in a suite passes for bad data."""

import subprocess
import sys

import pytest

from expectations import runner
from expectations.suite import Expectation, Severity, Suite, between, exactly

ROWS = [
    {"load_id": 1, "share": 0.1, "note": "x"},
    {"load_id": 2, "share": None, "note": "y"},
    {"load_id": 3, "share": 0.9, "note": "z"},
    {"load_id": 4, "share": 0.5, "note": "z"},
]


def judge(*expectations, rows=ROWS, row_key=("load_id",)):
    return runner.evaluate(Suite("raw.sample", expectations, row_key), rows)


def test_an_outcome_says_which_rows_broke_it_worst_first():
    outcome = judge(between("share", "small", at_most=0.2))
    (finding,) = outcome.findings
    assert not outcome.passed
    assert (finding.judged, finding.unexpected, finding.observed) == (3, 2, 0.9)
    assert finding.examples == ({"load_id": 3, "share": 0.9}, {"load_id": 4, "share": 0.5})
    assert finding.rows == (2, 3)


def test_both_bounds_count_and_are_inclusive():
    at_the_bounds = [{"load_id": 1, "share": 0.2}, {"load_id": 2, "share": 0.4}]
    assert judge(between("share", "in", at_least=0.2, at_most=0.4), rows=at_the_bounds).passed
    outside = [{"load_id": 1, "share": 0.1}, {"load_id": 2, "share": 0.41}]
    assert judge(between("share", "in", at_least=0.2, at_most=0.4), rows=outside).findings[0].rows == (0, 1)


def test_a_null_is_not_judged():
    """A figure without a baseline must pass, and be seen not to have been judged."""
    outcome = judge(between("share", "small", at_most=0.2), rows=[{"load_id": 1, "share": None}])
    assert outcome.passed
    assert outcome.findings[0].judged == 0


def test_a_warning_does_not_block():
    outcome = judge(between("share", "small", at_most=0.2, severity=Severity.WARNING))
    assert outcome.passed
    assert [finding.blocks for finding in outcome.broken] == [False]


def test_findings_keep_the_order_of_the_suite_and_broken_ones_begin_with_what_blocks():
    outcome = judge(
        between("share", "warns", at_most=0.2, severity=Severity.WARNING),
        between("load_id", "fine", at_least=1),
        between("share", "blocks", at_most=0.3),
    )
    assert [finding.expectation.claim for finding in outcome.findings] == ["warns", "fine", "blocks"]
    assert [finding.expectation.claim for finding in outcome.broken] == ["blocks", "warns"]


def test_what_a_person_asked_for_only_warns():
    outcome = judge(between("share", "as before", at_most=0.2, compares=True), between("load_id", "ids", at_most=3))
    assert [finding.expectation.claim for finding in outcome.broken if finding.blocks] == ["as before", "ids"]
    assert [finding.expectation.claim for finding in outcome.overruled().broken if finding.blocks] == ["ids"]


@pytest.mark.parametrize(
    ("rows", "observed"),
    [
        ([{"note": "x"}, {"note": "w"}], {"unexpected": ["w"], "missing": ["y"]}),
        ([], {"unexpected": [], "missing": ["x", "y"]}),
    ],
)
def test_a_set_of_values_must_be_there_whole(rows, observed):
    """An empty table would otherwise pass everything."""
    (finding,) = judge(exactly("note", ["x", "y"], "both"), rows=rows, row_key=()).findings
    assert not finding.passed
    assert finding.observed == observed
    assert finding.unexpected == 2 == len(observed["unexpected"] + observed["missing"])


def test_frames_do_not_leak_into_each_other():
    """One context serves all: metrics of an earlier frame must not answer for a later one."""
    suite = Suite("raw.sample", (between("share", "small", at_most=0.2),), ("load_id",))
    assert not runner.evaluate(suite, ROWS).passed
    assert runner.evaluate(suite, ROWS[:1]).passed
    assert not runner.evaluate(suite, ROWS[2:]).passed


def test_an_expectation_that_cannot_be_evaluated_raises():
    """A mistake in a suite must not hold loads, nor let them pass."""
    broken = Expectation("expect_column_values_to_match_regex", {"column": "share", "regex": "("}, "text")
    with pytest.raises(runner.JudgementError, match=r"^raw\.sample: expect_column_values_to_match_regex on share"):
        judge(broken)


def test_an_unknown_column_raises():
    with pytest.raises(KeyError, match="nowhere"):
        judge(between("nowhere", "there", at_most=1))


def run_alone(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_great_expectations_is_not_imported_before_there_is_something_to_judge():
    """Its import takes seconds, which every command and every code server would pay."""
    code = """
import sys
import expectations.candidate, expectations.raw, expectations.runner
import orchestration.quality.defs
from expectations.suite import Suite, between
suite = Suite("s", (between("x", "small", at_most=1),))
expectations.runner.evaluate(suite, [])
expectations.runner.evaluate(suite, [{"x": None}])
print("great_expectations" in sys.modules)
expectations.runner.evaluate(suite, [{"x": 0.5}])
print("great_expectations" in sys.modules)
"""
    assert run_alone(code).split() == ["False", "True"]


def test_warming_up_imports_it_without_analytics_and_leaves_nothing_behind(tmp_path):
    code = f"""
import os, sys
os.environ["HOME"] = {str(tmp_path)!r}
os.chdir({str(tmp_path)!r})
from expectations import runner
runner.warm_up().join()
print("great_expectations" in sys.modules, os.environ["GX_ANALYTICS_ENABLED"], os.listdir())
"""
    assert run_alone(code).split() == ["True", "false", "[]"]
