"""Opportunities as the mart tells them, their briefs, and a sound text for each: what tests of content start from."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from orchestration.content.briefs import KINDS, Brief, brief_of
from orchestration.content.drafts import Variant
from orchestration.content.validation import Limits

LIMITS = Limits(subject_chars=78, preview_chars=140, min_body_words=20, max_body_words=250, similarity=0.8)
HOST = "weddings.example"
DEADLINE = date(2026, 4, 12)
ROW: dict[str, Any] = {
    "kind": "underperforming_campaign",
    "subject_id": "cmp_7",
    "subject_name": "Spring seating plans",
    "channel": "email",
    "people": 1204,
    "rate": Decimal("0.381700000000"),
    "rate_low": Decimal("0.346000000000"),
    "rate_high": Decimal("0.418000000000"),
    "benchmark_people": 9_310,
    "benchmark_rate": Decimal("0.424200000000"),
    "shortfall": Decimal("0.042500000000"),
    "shortfall_low": Decimal("0.021000000000"),
    "amount_cents": None,
    "deadline_on": None,
    "as_of": datetime(2026, 4, 5, tzinfo=UTC),
}
NOTHING = dict.fromkeys(("rate", "rate_low", "rate_high", "benchmark_people", "benchmark_rate", "shortfall",
                         "shortfall_low", "amount_cents", "deadline_on", "subject_name", "channel"))  # fmt: skip


def row(**changed: Any) -> dict[str, Any]:
    """An opportunity: ROW, with what is changed."""
    return {**ROW, **changed}


def super_connectors(**changed: Any) -> dict[str, Any]:
    """One of that kind, with only the columns that it has."""
    return row(**{**NOTHING, "kind": "super_connectors", "subject_id": "week-2026-03-30", "people": 44, **changed})


def expiring_invites(**changed: Any) -> dict[str, Any]:
    """One of that kind, with only the columns that it has."""
    return row(**{**NOTHING, "kind": "expiring_invites", "subject_id": "week-2026-03-30", "people": 3321,
                  "deadline_on": DEADLINE, **changed})  # fmt: skip


def brief(opportunity: dict[str, Any] = ROW, *, language: str = "en") -> Brief:
    """Its brief."""
    return brief_of(opportunity, link_hosts=(HOST,), language=language, variants=3)


SOUND = Variant(
    subject="Your seating plan in an afternoon",
    preview="Drag names to tables, and see at a glance who still needs a chair.",
    body=(
        "Hello {{first_name}},\n\n"
        "You started a seating plan with us and left it unfinished. Pick it up where you stopped: every guest who has "
        "answered is already in your list, and you can move people between tables until it feels right.\n\n"
        "{{action_url}}\n\n"
        "Questions? Answer this e-mail, and a person will read it.\n\n"
        "Rather not hear from us: {{unsubscribe_url}}"
    ),
)


def sound(**changed: str) -> Variant:
    """A variant without a fault for brief(), with what is changed."""
    return SOUND.model_copy(update=changed)


def with_line(line: str) -> Variant:
    """The sound one with a line more in its body."""
    return sound(body=SOUND.body.replace("\n\nQuestions?", f"\n\n{line}\n\nQuestions?"))


shares = st.decimals(min_value=0, max_value=1, places=12)


@st.composite
def opportunities(draw: st.DrawFn) -> dict[str, Any]:
    """Any row that the mart may hold, with any name."""
    return row(
        kind=draw(st.sampled_from(sorted(KINDS))),
        subject_id=draw(st.text(min_size=1, max_size=20)),
        subject_name=draw(st.none() | st.text(max_size=300)),
        channel=draw(st.sampled_from(["email", "sms", "paid_search", "unknown"])),
        people=draw(st.integers(1, 10**9)),
        rate=draw(shares),
        benchmark_rate=draw(shares),
        shortfall=draw(shares),
        deadline_on=draw(st.dates(date(2020, 1, 1), date(2090, 12, 31))),
    )
