"""[pure] The numbers of a text, and which of them a brief does not hold.

A number is a run of digits (with `.` and `,` inside), or a number word of the language, together with its kind: plain,
percent, percentage points, times, a currency, or the letters that stand on it (`4th`, `20gb`). A date is a month or a
weekday. A text's number is held where the brief's facts hold the same value in the same kind: 38 % is another number
than 38.2 %, and than 38. Held besides: the days of the facts however written, with their years and weekdays; and the
numbering of a list, 1, 2, 3 at the beginnings of lines. Placeholders are not read, links are.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeVar

from .folding import folded, masked
from .languages import PLAIN, Language

DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
CURRENCY_BEFORE = re.compile(r"(?:\b(?P<code>usd|eur|gbp) ?|(?P<sign>[$€£¥]) ?)\Z", re.IGNORECASE)
CURRENCIES = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}
LETTERS = re.compile(r"[^\W\d_]+")
LIST_NUMBER = re.compile(r"^[ ]*(\d{1,2})(?=[.)] )", re.MULTILINE)

T = TypeVar("T")


@dataclass(frozen=True)
class Number:
    """value: None where it is none that can be reckoned with; kind as in the module's text. text: as it stands."""

    text: str
    value: Decimal | None
    kind: str

    def is_same(self, other: "Number") -> bool:
        """Whether both say the same."""
        return self.value is not None and (self.value, self.kind) == (other.value, other.kind)


def numbers_in(text: str, language: Language) -> list[Number]:
    """Every number of a text, in its order."""
    seen = masked(folded(text))
    words = "|".join(sorted(language.words, key=len, reverse=True))
    wanted = re.compile(rf"{DIGITS.pattern}|\b(?:{words})\b", re.IGNORECASE)
    found, end = [], 0
    while (match := wanted.search(seen, end)) is not None:
        number, end = _number(seen, match, language)
        found.append(number)
    return found


def _number(text: str, match: re.Match[str], language: Language) -> tuple[Number, int]:
    """The number that begins there, and where it ends: with its scale and its unit."""
    kind, end = PLAIN, match.end()
    if not match[0][0].isdigit():
        value, kind = language.words[match[0].lower()]
    else:
        value = Decimal(match[0].replace(",", "")) if GROUPED.fullmatch(match[0]) else None
    if (scale := _after(text, end, language.scales)) is not None:
        times, end = scale
        value = None if value is None else value * times
    start = max(0, match.start() - 4)
    if (before := CURRENCY_BEFORE.search(text[start : match.start()])) is not None:
        start, kind = start + before.start(), (before["code"] or CURRENCIES[before["sign"]]).upper()
    else:
        start = match.start()
        if (unit := _after(text, end, language.units)) is not None:
            kind, end = unit
        elif end == match.end() and (letters := LETTERS.match(text, end)) is not None:
            kind, end = letters[0].lower(), letters.end()
    return Number(text[start:end], value, kind), end


def _after(text: str, place: int, meanings: Mapping[str, T]) -> tuple[T, int] | None:
    """What the first of these patterns means that stands there, after a space or a hyphen; and where it ends."""
    for pattern, meaning in meanings.items():
        if (found := re.compile(f"[ -]?(?:{pattern})", re.IGNORECASE).match(text, place)) is not None:
            return meaning, found.end()
    return None


def unheld_in(text: str, facts: Iterable[str], days: Iterable[date], language: Language) -> list[str]:
    """The numbers and dates of a text that neither the facts, as written, nor these days hold; as they stand."""
    days = tuple(days)
    seen = _without_numbering(masked(folded(text)))
    for day in days:
        seen = language.days(day).sub(" ; ", seen)
    held = [number for fact in facts for number in numbers_in(fact, language)]
    held += [Number(str(day.year), Decimal(day.year), PLAIN) for day in days]
    unheld = [number.text for number in numbers_in(seen, language) if not any(map(number.is_same, held))]
    weekdays = {language.weekdays[day.weekday()] for day in days}
    return unheld + [word for word in _dates_in(seen, language) if word not in weekdays]


def _without_numbering(text: str) -> str:
    awaited = 1

    def kept(match: re.Match[str]) -> str:
        nonlocal awaited
        if match[1] != str(awaited):
            return match[0]
        awaited += 1
        return ""

    return LIST_NUMBER.sub(kept, text)


def _dates_in(text: str, language: Language) -> Iterator[str]:
    for name in (*language.months, *language.weekdays):
        before = rf"\b(?:{'|'.join(language.before_months)})[ -]" if name in language.ambiguous_months else ""
        if re.search(rf"{before}\b{name}s?\b", text, re.IGNORECASE):
            yield name
