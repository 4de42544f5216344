"""A rule file is taken whole, or refused whole with every fault."""

from datetime import timedelta
from textwrap import dedent

import pytest

from orchestration.alerts.rules import Action, Rule, RulesError, Severity, parse_rules

POLICY = {"viral_coefficient_target": 1.2, "marts_max_age_minutes": 45, "viral_min_users": 100, "switch": True}
KNOWN = {
    "policy": POLICY,
    "metrics": frozenset({"viral_coefficient", "marts_age_minutes"}),
    "channels": frozenset({"slack", "mail"}),
    "owners": frozenset({"Marketing Automation"}),
}
WHOLE = """
rules:
  - name: viral_coefficient_low
    summary: The viral coefficient is below its target
    metric: viral_coefficient
    below: viral_coefficient_target
    clear_at: 1.25
    for: 2h
    keep_firing: 1d
    by_interval: true
    min_sample: viral_min_users
    min_maturity: 0.2
    no_data_after: 2d
    stale_after: marts_max_age_minutes
    severity: warning
    channels: [slack, mail]
    action: notify_marketing_team
    owner: Marketing Automation
    runbook: docs/viral-playbook.md
    inhibited_by: [marts_late]
    repeat_every: 1d
    escalate_after: 30m
  - name: marts_late
    summary: The marts are late
    metric: marts_age_minutes
    above: marts_max_age_minutes
    severity: critical
    channels: [slack]
    owner: Marketing Automation
    runbook: docs/operations.md
"""


def parsed(text: str) -> tuple[Rule, ...]:
    return parse_rules(dedent(text), **KNOWN)


def faults(text: str) -> list[str]:
    with pytest.raises(RulesError) as caught:
        parsed(text)
    return str(caught.value).splitlines()


def test_thresholds_and_durations_are_the_policys():
    low, late = parsed(WHOLE)
    assert (low.comparison, low.threshold, low.clears_at, low.min_sample) == ("below", 1.2, 1.25, 100)
    assert (low.for_, low.keep_firing, low.stale_after) == (
        timedelta(hours=2), timedelta(days=1), timedelta(minutes=45)
    )  # fmt: skip
    assert (low.severity, low.action) == (Severity.WARNING, Action.NOTIFY_MARKETING_TEAM)
    assert (late.comparison, late.threshold, late.clears_at, late.for_) == ("above", 45, 45, timedelta())
    assert low.looks_back >= low.for_ + low.keep_firing


def test_every_fault_is_told_at_once():
    """Prevents mending a file fault by fault, one start for each."""
    found = faults("""
        rules:
          - name: Bad Name
            summary: s
            metric: viral_coefficient
            below: no_such_number
            severity: loud
            channels: []
            owner: Marketing Automation
            runbook: r
            colour: red
          - name: both
            summary: s
            metric: revenue
            below: 1
            above: 2
            for: soon
            severity: info
            channels: [pager]
            owner: Nobody
            runbook: r
          - name: beyond
            summary: s
            metric: revenue
            below: viral_coefficient_target
            clear_at: 1
            severity: loud
            channels: [slack]
            no_data_channels: [fax]
            owner: Nobody
            runbook: r
            inhibited_by: [gone, both]
    """)
    told = "\n".join(found)
    for expected in (
        "rule 1 (Bad Name): name: found 'Bad Name'",
        "rule 1 (Bad Name): below: found 'no_such_number': expected a number or the name of one in dbt_project.yml",
        "rule 1 (Bad Name): severity: found 'loud'",
        "rule 1 (Bad Name): channels: found []",
        "rule 1 (Bad Name): colour: no such field",
        "rule 2 (both): for: found 'soon': expected a duration such as 90s, 15m, 6h, 2d",
        "rule 2 (both): expected one of below and above",
        "rule 2 (both): metric: found 'revenue', expected one of ",
        "rule 2 (both): channels: found 'pager', expected one of ",
        "rule 2 (both): owner: found 'Nobody', expected one of ",
        "rule 3 (beyond): severity: found 'loud'",
        "rule 3 (beyond): clear_at 1 lies beyond the threshold 1.2",
        "rule 3 (beyond): metric: found 'revenue', expected one of ",
        "rule 3 (beyond): no_data_channels: found 'fax', expected one of ",
        "rule 3 (beyond): owner: found 'Nobody', expected one of ",
        "rule 3 (beyond): inhibited_by: found 'gone', expected the name of another rule",
    ):
        assert expected in told
    # One fault is one line: that `both` is malformed is not that it is not there.
    assert told.count("inhibited_by") == 1


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("metric: marts_age_minutes", "metric: age", "rule 2 (marts_late): metric: found 'age', expected one of "),
        ("channels: [slack]", "channels: [fax]", "(marts_late): channels: found 'fax', expected one of mail, slack"),
        ("name: marts_late", "name: viral_coefficient_low", "rule 2 (viral_coefficient_low): name: found it 2 times"),
        ("inhibited_by: [marts_late]", "inhibited_by: [gone]", "inhibited_by: found 'gone', expected"),
        ("metric: marts_age_minutes", "metric: marts_age_minutes\n    inhibited_by: [viral_coefficient_low]",
         "inhibited_by goes in a circle: "),
        ("inhibited_by: [marts_late]", "inhibited_by: [viral_coefficient_low]", "in a circle: viral_coefficient_low"),
        ("above: marts_max_age_minutes", "above: 1\n    for: 999999999d", "expected a duration such as"),
        ("above: marts_max_age_minutes", "above: 1\n    below: 2", "(marts_late): expected one of below and above"),
        ("above: marts_max_age_minutes", "above: 1\n    above: 2", "not YAML: 'above' stands twice"),
        ("clear_at: 1.25", "clear_at: 1.1", "clear_at 1.1 lies beyond the threshold 1.2"),
        ("    above: marts_max_age_minutes\n", "", "rule 2 (marts_late): expected one of below and above"),
        ("    runbook: docs/operations.md\n", "", "rule 2 (marts_late): runbook: missing"),
        ("above: marts_max_age_minutes", "above: switch", "above: found 'switch': expected a number or the name"),
        ("above: marts_max_age_minutes", "above: true", "above: found True: expected a number or the name"),
        ("above: marts_max_age_minutes", "above: .nan", "above: found nan"),
        ("rules:", "rule:", "expected a mapping with the one key `rules`, a list"),
        ("rules:", "rules: [", "not YAML: "),
        ("rules:", "rules: []\nothers:", "expected a mapping with the one key `rules`, a list"),
    ],
)  # fmt: skip
def test_one_fault_refuses_the_file(old: str, new: str, fault: str):
    assert WHOLE.count(old) == 1
    assert any(fault in line for line in faults(WHOLE.replace(old, new)))


@pytest.mark.parametrize("text", ["rules: []", WHOLE])
def test_a_file_without_a_rule_that_the_engine_needs_is_refused(text: str):
    """Prevents a monitor that dies of the very outage that it is to tell of."""
    with pytest.raises(RulesError, match="rules: found none"):
        parse_rules(text, **KNOWN, required=frozenset({"engine_silent"}))
