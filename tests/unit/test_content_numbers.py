"""What counts as a number of a text, and when a brief holds it."""

from datetime import date
from decimal import Decimal

import pytest

from orchestration.content.languages import ENGLISH
from orchestration.content.numbers import numbers_in, unheld_in

FACTS = ("1,204", "38.2 %", "4.2 percentage points", "$1,250.50", "20")
DAY = date(2026, 4, 12)


def told(text: str) -> list[tuple[Decimal | None, str]]:
    return [(number.value, number.kind) for number in numbers_in(text, ENGLISH)]


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("1,204 people", "1204", "plain"),
        ("38.2 %", "38.2", "percent"),
        ("38.2%", "38.2", "percent"),
        ("38.2 percent", "38.2", "percent"),
        ("38.2 per cent", "38.2", "percent"),
        ("4.2 percentage points", "4.2", "percentage points"),
        ("a 4.2-point gap", "4.2", "percentage points"),
        ("3x", "3", "times"),
        ("3 times", "3", "times"),
        ("twice", "2", "times"),
        ("double", "2", "times"),
        ("half", "50", "percent"),
        ("twelve percent", "12", "percent"),
        ("a dozen", "12", "plain"),
        ("20k", "20000", "plain"),
        ("1.2 million", "1200000", "plain"),
        ("$20", "20", "USD"),
        ("USD 20", "20", "USD"),
        ("20 dollars", "20", "USD"),
        ("\u20ac1.5m", "1500000", "EUR"),
        ("4th", "4", "th"),
        ("\uff13\uff18.\uff12\uff05", "38.2", "percent"),
        ("\u0663\u0668", "38", "plain"),
        ("\U0001d7db\U0001d7d8", "30", "plain"),
        ("\u2462", "3", "plain"),
        ("5\u200b0", "50", "plain"),
    ],
)
def test_a_number_is_a_value_of_a_kind(text, value, kind):
    assert told(text) == [(Decimal(value), kind)]


@pytest.mark.parametrize("text", ["no one", "one of you", "{{first_name}}", "tender", "attend", "in often", "maybe"])
def test_what_is_no_number(text):
    assert told(text) == []


@pytest.mark.parametrize("text", ["1,20", "1.204.5", "1,2,3"])
def test_digits_that_make_no_value_are_held_by_nothing(text):
    assert told(text) == [(None, "plain")]
    assert unheld_in(text, [text], (), ENGLISH) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "1,204 people", "1204 people", "38.2 %", "38.2%", "38.2 percent", "38.20 %", "4.2 points", "$1,250.50",
        "1,250.50 dollars", "twenty of them", "by 12 April 2026", "by April 12", "by April 12th, 2026",
        "until Sunday, 12 April", "on the 12th of April", "on Sunday", "in 2026", "2026-04-12", "by 12 Apr.",
        "1. This\n2. That\n3. More", "1) This\n2) That", "May we ask?", "march on",
    ],
)  # fmt: skip
def test_what_is_held(text):
    assert unheld_in(text, FACTS, [DAY], ENGLISH) == []


@pytest.mark.parametrize(
    "text",
    [
        "1,205 people", "38 %", "38.2", "38.2 points", "38.2 times", "0.382", "4.2 %", "1,250 dollars", "1204 %",
        "20 %", "$20", "20k", "twice", "half", "a third", "a quarter", "two", "hundreds", "twenty-five", "20-25",
        "20:30", "20/7", "12 people", "13 April", "12 May", "12 April 2027", "Monday, 12 April", "on Monday", "in 2027",
        "2026-04-13", "in March", "in May", "by June", "12.04.2026", "7. This", "2. That\n1. This", "1. This\n3. That",
        "\u00bd of you", "\u2168 7", "\u4e09", "\u00b2", "112 April", "12 April 20261", "#1", "1st", "24/7", "3.5",
        "20 %.", "April 12%", "April 12 %", "April 12 percent", "April 12.5", "2026-04-12.5",
    ],
)  # fmt: skip
def test_what_is_not_held(text):
    assert unheld_in(text, FACTS, [DAY], ENGLISH) != []


def test_without_a_day_in_the_brief_there_is_none_in_the_text():
    assert unheld_in("by Sunday, 12 April", FACTS, (), ENGLISH) == ["12", "April", "Sunday"]
