"""Joins to come, generation by generation instead of day by day; lags to days by halves; and a wrong growth formula."""

from collections.abc import Sequence
from fractions import Fraction
from typing import TypeVar

Number = TypeVar("Number", float, Fraction)


def day_masses(maturity: Sequence[Fraction]) -> list[Fraction]:
    """Lags between two whole days fall half on the one, half on the other; those of exactly 0 on the same day."""
    masses = [Fraction(0)] * len(maturity)
    masses[0] += maturity[0]
    for day in range(1, len(maturity)):
        between = maturity[day] - maturity[day - 1]
        masses[day - 1] += between / 2
        masses[day] += between / 2
    return masses


def expected_joins(
    level: Number,
    joins: Sequence[int],
    k: Number,
    masses: Sequence[Number],
    days: int,
    generations: int,
    new_masses: Sequence[Number] | None = None,
) -> list[Number]:
    """Expected joins on each coming day. Each generation is what the one before it brings within these days.

    Generation 0: those who arrive, and those brought by users who have joined already. new_masses: of the users who
    are to join, where not those of the others.
    """
    generation = [level + brought(joins, day, k, masses) for day in range(days)]
    total = list(generation)
    for _ in range(generations):
        later = [level * 0] * days
        for joined_on, users in enumerate(generation):
            for lag, mass in enumerate(new_masses or masses):
                if joined_on + lag < days:
                    later[joined_on + lag] += users * k * mass
        total = [so_far + new for so_far, new in zip(total, later, strict=True)]
        generation = later
    return total


def brought(joins: Sequence[int], day: int, k: Number, masses: Sequence[Number]) -> Number:
    """By users of the days before, on the coming day of this number, 0 being the first."""
    total = k * 0
    for back, users in enumerate(reversed(joins), start=1):
        if back + day < len(masses):
            total += users * k * masses[back + day]
    return total


def compound_growth(users: float, k: float, days: float, cycle: float) -> float:
    """WRONG: new users if all users, the old ones too, brought K more in every cycle, (1 + K)^n."""
    return users * ((1 + k) ** (days / cycle) - 1)
