"""[pure] Verdicts and outcomes in words, for the Dagster UI: figures, keys of records and load numbers only."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from expectations.outcome import Finding, Outcome
from expectations.suite import Severity

from .verdicts import LoadVerdict

END_A_HOLD = "`marketing loads accept {0}` (it was right) or `marketing loads withdraw {0}` (it was wrong)"
END_A_CHANGE = (
    "Are the new numbers right? Then accept the loads that this build holds (`marketing loads list`), or, when it "
    "holds none, ask for them: `marketing build --full-refresh`."
)


def loads_in_a_line(verdicts: Sequence[LoadVerdict], held: Mapping[int, str]) -> str:
    """What came of a feed's new loads, and what is held; held: load to reason, those of earlier builds too."""
    new = {verdict.load_id for verdict in verdicts}
    told = [f"Load {load_id} is{'' if load_id in new else ' still'} held: {why}." for load_id, why in held.items()]
    if verdicts:
        told.insert(0, f"{_loads(len(verdicts))} judged, {len(new & held.keys()) or 'none'} held.")
    return " ".join(told) or "No new loads."


def breaches_table(verdicts: Sequence[LoadVerdict]) -> str:
    """Every expectation that a load broke, as a Markdown table; empty when there is none."""
    rows = [
        (str(verdict.load_id), expected.claim, expected.shown(breach.value), breach.detail)
        for verdict in verdicts
        for breach in verdict.breaches
        for expected in [breach.finding.expectation]
    ]
    return _table(("load", "expected", "found", "in detail"), rows)


def breach_examples(verdicts: Sequence[LoadVerdict]) -> list[dict[str, str]]:
    """Keys and values of records that show what was broken."""
    return [
        {"load_id": str(verdict.load_id)} | {name: str(value) for name, value in record.items()}
        for verdict in verdicts
        for breach in verdict.breaches
        for record in breach.records
    ]


def unjudged(verdicts: Sequence[LoadVerdict]) -> dict[str, dict[str, int]]:
    """For each figure that was not judged, of how many loads and why: {figure: {reason: loads}}."""
    found: dict[str, dict[str, int]] = {}
    for verdict in verdicts:
        for figure, reason in verdict.unjudged.items():
            reasons = found.setdefault(figure, {})
            reasons[reason] = reasons.get(reason, 0) + 1
    return found


def ways_to_end(held: Iterable[int]) -> str:
    """The commands that end the holds on these loads, as Markdown."""
    return "\n".join(f"- {END_A_HOLD.format(load_id)}" for load_id in held)


def outcome_in_a_line(outcome: Outcome) -> str:
    """What came of a candidate table's suite."""
    if outcome.broken:
        return "; ".join(map(str, outcome.broken)) + "."
    left = sum(not finding.judged for finding in outcome.findings)
    aside = f", {left} of them not judged (nothing to compare with yet)" if left else ""
    return f"{len(outcome.findings)} expectations, none broken{aside}."


def findings_table(outcome: Outcome) -> str:
    """Every expectation of a suite with what was found, as a Markdown table."""
    rows = [(one.expectation.claim, _result(one), _observed(one)) for one in outcome.findings]
    return _table(("expected", "result", "found"), rows)


def finding_examples(outcome: Outcome) -> list[dict[str, str]]:
    """The rows that broke an expectation: aggregates, and what names them."""
    return [{name: str(value) for name, value in example.items()} for one in outcome.broken for example in one.examples]


def audit_reason(outcomes: Sequence[Outcome]) -> str:
    """Why a build is not published, in one line."""
    return "; ".join(
        f"{outcome.suite}: {finding}" for outcome in outcomes for finding in outcome.broken if finding.blocks
    )


def _result(finding: Finding) -> str:
    if not finding.passed:
        return "blocks" if finding.expectation.severity is Severity.BLOCKING else "warns"
    return "met" if finding.judged else "not judged"


def _observed(finding: Finding) -> str:
    return "" if finding.observed is None else finding.expectation.shown(finding.observed)


def _loads(count: int) -> str:
    return f"{count} new load{'s' if count > 1 else ''}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines)
