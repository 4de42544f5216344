"""[pure] A total shared among channels by weight, to the last unit: what a fit makes of conversions and of revenue."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import floor, isfinite

DECIMALS = 12
"""Of credited conversions: those of the credits in fct_attribution."""


def apportion(weights: Mapping[str, float | Fraction], total: int) -> dict[str, int]:
    """Whole units per channel, sorted by channel, each at least 0, adding up to total exactly.

    With C(i) the weight of channels 1..i over all weight: round(C(i) total) - round(C(i-1) total), halves up. In exact
    arithmetic, so nobody gets more than one unit away from the plain share, and weight 0 gets 0.
    All weights 0: even. Raises ValueError for a weight that is negative or not finite, a total below 0, and a total to
    share among no channels.
    """
    if total < 0 or (total and not weights):
        raise ValueError(f"cannot share {total} among {len(weights)} channels")
    if not all(isfinite(weight) and weight >= 0 for weight in weights.values()):
        raise ValueError(f"weights must be finite and at least 0: {dict(weights)}")
    exact = {channel: Fraction(weights[channel]) for channel in sorted(weights)}
    if not any(exact.values()):
        exact = dict.fromkeys(exact, Fraction(1))
    whole = sum(exact.values())
    units = {}
    cumulated, given = Fraction(0), 0
    for channel, weight in exact.items():
        cumulated += weight
        due = floor(cumulated * total / whole + Fraction(1, 2))
        units[channel] = due - given
        given = due
    return units


def credited_conversions(weights: Mapping[str, float | Fraction], conversions: int) -> dict[str, Decimal]:
    """Conversions per channel with twelve decimals, adding up exactly; rules and errors as for apportion."""
    units = apportion(weights, conversions * 10**DECIMALS)
    return {channel: Decimal(unit).scaleb(-DECIMALS) for channel, unit in units.items()}


def credited_cents(weights: Mapping[str, float | Fraction], revenue_cents: int) -> dict[str, int]:
    """Whole cents per channel, adding up exactly; rules and errors as for apportion."""
    return apportion(weights, revenue_cents)
