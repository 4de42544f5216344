"""The area under the curve by its definition: every pair of a journey that converted and one that did not."""

from collections.abc import Sequence
from fractions import Fraction


def area(rows: Sequence[tuple[float, int, int]]) -> Fraction | None:
    """rows: score, journeys that converted, journeys that did not. None where one kind is missing."""
    won = pairs = Fraction(0)
    for score, converted, _ in rows:
        for other, _, lost in rows:
            pairs += converted * lost
            won += converted * lost * (Fraction(score > other) + Fraction(score == other) / 2)
    return won / pairs if pairs else None
