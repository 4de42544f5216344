"""The scorecard in words: an interval where there is one, and what a young K rests on."""

from datetime import date
from decimal import Decimal
from typing import Any

from orchestration.transform.scorecard import as_markdown, footnotes, lines


def goal(metric: str, value: str | None, **others: Any) -> dict[str, Any]:
    known = {"metric": metric, "value": None if value is None else Decimal(value), "target": Decimal("1.2")}
    known |= {"comparison": ">", "status": "met" if value else "no_data", "low": None, "high": None}
    known |= {"maturity": None, "users": None, "period_start_on": date(2026, 6, 1), "period_end_on": date(2026, 6, 28)}
    return known | others


K = goal(
    "viral_coefficient", "1.279", low=Decimal("1.107"), high=Decimal("1.485"), maturity=Decimal("0.5998"), users=1691
)


def test_k_shows_its_interval_and_what_it_rests_on():
    """Prevents a K that looks as sure from 40 users as from 40,000."""
    ((name, value, interval, target, status, period),) = lines([K])
    assert (name, value, interval) == ("Viral coefficient (K)", "1.279", "1.107 to 1.485")
    assert (target, status, period) == ("> 1.200", "met", "2026-06-01 to 2026-06-28")
    assert footnotes([K]) == ["Viral coefficient (K): 1,691 users, of whose joins 60 % show by now"]


def test_goals_without_an_interval_or_a_value_show_none():
    """Prevents `None to None`, and a footnote of nothing."""
    rows = [goal("viral_coefficient", None, users=0), goal("viral_days_above_target", "6", target=Decimal(7))]
    assert [line[1:4] for line in lines(rows)] == [("-", "-", "> 1.200"), ("6", "-", "> 7")]
    assert footnotes(rows) == []


def test_the_markdown_is_a_table_with_its_footnotes_below():
    """Prevents a footnote that the UI takes for a row."""
    table, note = as_markdown([K]).split("\n\n")
    assert {line.count("|") for line in table.splitlines()} == {7}
    assert note.startswith("Viral coefficient (K): 1,691 users")
