"""[pure] What is to be known of a language to judge a text in it. A text in any other is not asked for.

A claim is a promise or a rank that no brief holds: briefs hold figures and days, nothing of price, rank or gift.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal


@dataclass(frozen=True)
class Language:
    """letters: those of its words, without accents. words: numbers as words, and what they count, as (value, kind).

    units: patterns of what may follow a number -> its kind. scales: patterns -> times. months, weekdays: January and
    Monday first. ambiguous_months: those that are other words too, a date only after one of before_months. claims:
    patterns. speech_of_itself: what a text says when it speaks of how it was made.
    """

    letters: str
    words: Mapping[str, tuple[Decimal | None, str]]
    units: Mapping[str, str]
    scales: Mapping[str, int]
    months: tuple[str, ...]
    weekdays: tuple[str, ...]
    ambiguous_months: frozenset[str]
    before_months: tuple[str, ...]
    claims: tuple[str, ...]
    speech_of_itself: tuple[str, ...] = field(repr=False)

    def day(self, day: date) -> str:
        """`12 April 2026`."""
        return f"{day.day} {self.months[day.month - 1]} {day.year}"

    def day_of(self, text: str) -> date:
        """The day that `day` wrote."""
        number, month, year = text.split()
        return date(int(year), self.months.index(month) + 1, int(number))

    def days(self, day: date) -> re.Pattern[str]:
        """Every way to write that day: 12 April, April 12th, Sunday, 12 April 2026, 2026-04-12."""
        month, weekday = self.months[day.month - 1], self.weekdays[day.weekday()]
        name = f"(?:{month}|{month[:3]}\\.?)"
        number = f"0?{day.day}(?:st|nd|rd|th)?"
        on = f"(?:(?:{weekday}|{weekday[:3]}\\.?),? )?(?:the )?"
        of = f"(?:,? {day.year})?"
        ways = f"{on}(?:{number}(?: of)? {name}|{name} (?:the )?{number}){of}|{day.isoformat()}"
        return re.compile(rf"(?<![\w.,$€£¥-])(?:{ways})(?!\w|[.,-]\d| ?(?:%|per ?cent))", re.IGNORECASE)


def _each(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


PLAIN, SHARE, POINTS, TIMES = "plain", "percent", "percentage points", "times"

_NUMBERS = _each(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_TENS = _each("thirty forty fifty sixty seventy eighty ninety")

ENGLISH = Language(
    # With those that English takes over from others.
    letters="abcdefghijklmnopqrstuvwxyzæœøßł",
    # `one` is left out: nobody can tell the number from the pronoun.
    words={
        **{word: (Decimal(value), PLAIN) for value, word in enumerate(_NUMBERS) if word != "one"},
        **{word: (Decimal(10 * value), PLAIN) for value, word in enumerate(_TENS, start=3)},
        **{word: (Decimal(12), PLAIN) for word in ("dozen", "dozens")},
        **{word: (Decimal(100), PLAIN) for word in ("hundred", "hundreds")},
        **{word: (Decimal(1000), PLAIN) for word in ("thousand", "thousands")},
        **{word: (Decimal(10**6), PLAIN) for word in ("million", "millions")},
        **{word: (Decimal(10**9), PLAIN) for word in ("billion", "billions")},
        **{word: (Decimal(50), SHARE) for word in ("half", "halve", "halves", "halved")},
        **{f"{article} quarter": (Decimal(25), SHARE) for article in ("a", "one")},
        **{f"{article} {part}": (None, SHARE) for article in ("a", "one") for part in ("third", "fifth", "tenth")},
        **{word: (Decimal(2), TIMES) for word in ("twice", "double", "doubles", "doubled", "doubling")},
        **{word: (Decimal(3), TIMES) for word in ("thrice", "triple", "triples", "tripled", "tripling")},
        **{word: (Decimal(4), TIMES) for word in ("quadruple", "quadruples", "quadrupled")},
    },
    units={
        r"percentage[ -]points?\b|points?\b|pp\b|pts?\b": POINTS,
        r"%|per ?cent\b|pct\b": SHARE,
        r"times\b|x\b|\u00d7|-?fold\b": TIMES,
        r"(?:us )?dollars?\b|usd\b|\$": "USD",
        r"euros?\b|eur\b|€": "EUR",
        r"pounds?\b|gbp\b|£": "GBP",
    },
    scales={
        r"k\b|thousand\b": 1000,
        r"m\b|mn\b|million\b": 10**6,
        r"bn\b|billion\b": 10**9,
    },
    months=_each("January February March April May June July August September October November December"),
    weekdays=_each("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
    ambiguous_months=frozenset({"March", "May"}),
    before_months=_each("in by until till before after of since from early late mid this next last"),
    claims=_lines(r"""
        guarantee(?:s|d|ing)?
        risk[ -]free
        (?<!feel )free
        complimentary
        at no cost
        best(?! (?:regards|wishes))(?<!all the best)
        number one
        no\. ?1
        \#1
        top[ -]rated
        (?:market|industry)[ -]leading
        leading (?:provider|platform|brand|service)s?
        world[ -]class
        award[ -]winning
        unbeatable
        unrivalled
        unmatched
        fastest
        easiest
        cheapest
        lowest
        highest
        greatest
        largest
        biggest
        most popular
        proven
        scientifically
        miracle
        once in a lifetime
        last chance
        (?:only|just) (?:today|now)
        (?:today|now) only
        (?:ends?|expires?|closes?) (?:today|tonight|tomorrow)
        limited[ -]time
        while stocks? lasts?
        act now
        discounts?
        vouchers?
        coupons?
        refunds?
        money[ -]back
        cash ?back
        prizes?
        gift ?cards?
        bonus(?:es)?
        rewards?
        exclusive(?:ly)?
        100 ?%
    """),
    speech_of_itself=_lines(r"""
        as an? (?:ai|artificial|assistant)
        language model
        system prompt
        developer message
        (?:ignore|disregard|forget|override) (?:\w+ ){0,4}(?:instructions?|prompts?|rules?)
        (?:my|your|these|the following) instructions
        i (?:cannot|can't|can not|am unable to|won't) (?:help|assist|comply|write|create|generate)
        (?:the|this|your) brief (?:says|asks|holds|is)
        placeholders?
        here (?:is|are) (?:the|your|a|some|three|two) (?:drafts?|variants?|e-?mails?|versions?)
        </?brief>
        jailbreak
        openai
        chatgpt
    """),
)

LANGUAGES: Mapping[str, Language] = {"en": ENGLISH}


def language_of(tag: str) -> Language | None:
    """What is known of a BCP 47 tag's language: of `en-GB` that of `en`; None where nothing is."""
    return LANGUAGES.get(base_of(tag))


def base_of(tag: str) -> str:
    """`en` of `en-GB`."""
    return tag.partition("-")[0].lower()
