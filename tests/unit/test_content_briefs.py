"""A brief tells of many people and of no one, in the words in which it may be quoted."""

import hashlib
import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestration.content.briefs import KINDS, Brief, BriefError, brief_of
from orchestration.content.personal_data import shapes_in

from .opportunities import brief, expiring_invites, opportunities, row, super_connectors


def quoted(found: Brief) -> dict[str, str]:
    return {fact.name: fact.value for fact in found.facts}


def test_rates_are_told_to_a_tenth_of_a_percent():
    assert quoted(brief()) == {
        "recipients": "1,204",
        "conversion_rate": "38.2 %",
        "channel_conversion_rate": "42.4 %",
        "shortfall": "4.2 percentage points",
    }


def test_each_kind_tells_what_it_is_about():
    assert quoted(brief(super_connectors(rate=Decimal("0.3149")))) == {
        "super_connectors": "44",
        "joins_per_invite": "31.5 %",
    }
    assert quoted(brief(super_connectors())) == {"super_connectors": "44"}
    assert quoted(brief(expiring_invites())) == {"invited": "3,321", "deadline": "12 April 2026"}
    assert brief(expiring_invites()).days == (date(2026, 4, 12),)
    assert brief().days == ()


def test_every_kind_requires_a_way_to_unsubscribe_and_something_to_do():
    for kind in KINDS.values():
        assert "unsubscribe_url" in kind.required
        assert len(kind.required) > 1
        assert set(kind.required) <= set(kind.placeholders)


def test_the_day_of_the_figures_makes_no_other_brief():
    """Prevents a draft, and a bill, for each build of the same figures."""
    assert brief().key == brief(row(as_of=row()["as_of"].replace(day=6))).key
    assert brief().key == brief(row(rate=Decimal("0.381699"), rate_low=Decimal("0.3"))).key


@pytest.mark.parametrize(
    "changed",
    [{"people": 1205}, {"rate": Decimal("0.39")}, {"subject_id": "cmp_8"}, {"subject_name": "x"}, {"channel": "sms"}],
)
def test_what_is_told_makes_another_brief(changed):
    assert brief().key != brief(row(**changed)).key


def test_the_key_is_of_canonical_json():
    """Whoever stored a brief can tell its key again, whatever the order of its fields."""
    found = brief()
    stored = json.loads(found.model_dump_json())
    text = json.dumps(dict(reversed(stored.items())), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert found.key == hashlib.sha256(text.encode()).hexdigest()
    assert Brief.model_validate_json(found.model_dump_json()).key == found.key


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("Win back jane.doe@example.com", "an e-mail address"),
        ("Win back jane\u200b@\u200bexample.com", "an e-mail address"),
        ("Win back jane\uff20example.com", "an e-mail address"),
        ("call 0\u200b20\u200b7946\u200b0958", "a phone number"),
        ("call 0\u2461\u2462 79 46 09", "a phone number"),
        ("for jane (at) example.com", "an e-mail address"),
        ("call +44 20 7946 0958 first", "a phone number"),
        ("call \uff0b\uff14\uff14 \uff12\uff10 \uff17\uff19\uff14\uff16 \uff10\uff19\uff15\uff18", "a phone number"),
        ("4111 1111 1111 1111", "a long run of digits"),
        ("to DE89 3704 0044 0532 0130 00", "a bank account"),
    ],
)
def test_a_name_with_somebodys_data_is_left_out_and_that_is_said(name, shape):
    """Prevents personal data from leaving by the one text that people type; for that no campaign goes without help."""
    found = brief(row(subject_name=name))
    assert found.subject_name is None
    assert "Its name is left out: it held what looks like" in found.goal
    assert shape in found.goal
    assert name not in found.model_dump_json()


@pytest.mark.parametrize("name", ["Spring 2026", "Launch 2026-04-12, wave 3", "12.04.2026", "50 % of 1,204,311", "A&B"])
def test_an_ordinary_name_is_told(name):
    found = brief(row(subject_name=name))
    assert found.subject_name == name
    assert "left out" not in found.goal


def test_a_name_is_one_line_of_moderate_length():
    """A name of a page would be paid for by the token, and control characters have no business in it."""
    found = brief(row(subject_name="a\x00b\r\nc\u202ed " + "long " * 100))
    assert found.subject_name.startswith("a b cd long long")
    assert len(found.subject_name) == 120
    assert brief(row(subject_name=" \n ")).subject_name is None


@pytest.mark.parametrize(
    ("opportunity", "fault"),
    [
        (row(kind="lottery"), "kind: found 'lottery'"),
        (row(rate=None), "rate: missing"),
        (expiring_invites(deadline_on=None), "deadline_on: missing"),
        (super_connectors(people=None), "people: missing"),
    ],
)
def test_what_is_missing_is_named(opportunity, fault):
    with pytest.raises(BriefError, match=fault):
        brief(opportunity)


def test_every_fault_is_told_at_once():
    with pytest.raises(BriefError) as caught:
        brief(row(rate=None, shortfall=None), language="tlh")
    assert len(str(caught.value).splitlines()) == 3
    assert "found 'tlh'" in str(caught.value)


def test_a_host_that_is_none_is_refused():
    with pytest.raises(BriefError, match=r"link_hosts\.0: found 'https://x\.example'"):
        brief_of(row(), link_hosts=("https://x.example",), language="en", variants=1)


def test_a_brief_is_never_changed():
    found = brief()
    with pytest.raises(ValidationError):
        found.goal = "another"
    with pytest.raises(ValidationError):
        Brief.model_validate({**found.model_dump(), "note": "x"})


@given(opportunities())
def test_no_brief_holds_anything_with_the_shape_of_personal_data(opportunity):
    """Of the text of campaigns; ids are never sent."""
    found = brief(opportunity)
    texts = [found.goal, found.subject_name or "", *(fact.value for fact in found.facts)]
    assert [shape for text in texts for shape in shapes_in(text)] == []


@given(st.emails(), st.text(max_size=20), st.text(max_size=20))
def test_no_address_passes_in_a_name(address, before, after):
    assert brief(row(subject_name=f"{before}{address}{after}")).subject_name is None
