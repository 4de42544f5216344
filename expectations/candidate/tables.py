"""[pure] The claims that suites of candidate tables share.

Their rows are aggregates of a table, so nothing of a person is in them. What compares with the published table is
null, and not judged, before the first publication and while too little was published.
"""

from orchestration.policy import Policy

from ..suite import Expectation, Severity, Suite, between, percent


def table_suite(mart: str, *expectations: Expectation, row_key: tuple[str, ...] = ()) -> Suite:
    """The suite of candidate.<mart>."""
    return Suite(f"candidate.{mart}", expectations, row_key)


def settled_days_keep(column: str, what: str, policy: Policy) -> Expectation:
    """A sum over days that have settled is about what it was when last published."""
    most = percent(policy.audit_max_change)
    claim = f"{what} of settled days differ from the published by at most {most} (audit_max_change)"
    return between(f"{column}_change", claim, at_most=policy.audit_max_change, compares=True)


def recent_share_keeps(column: str, what: str, policy: Policy) -> Expectation:
    """A share of the latest days is about what it was in the days before; it warns, since the numbers are right."""
    claim = f"{what} grew by at most {percent(policy.audit_max_share_rise)} of all conversions (audit_max_share_rise)"
    return between(f"{column}_rise", claim, at_most=policy.audit_max_share_rise, severity=Severity.WARNING)
