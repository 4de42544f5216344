"""How the models share one conversion among its touches, to the 1e-12 and to the cent."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal, localcontext
from fractions import Fraction

from tests.oracles.journeys import Touch
from tests.oracles.policy import DATA_DRIVEN, Policy, calibration, number
from tests.oracles.rounding import UNIT, half_away

DIGITS = 60
"""Digits of the irrational weights of time_decay: far beyond what a credit shows."""


def shares(model: str, journey: Sequence[Touch], policy: Policy) -> list[Fraction]:
    """The exact share of each touch of a journey of at least one touch, first to last; they sum to 1."""
    count = len(journey)
    if model == "first_touch":
        return _all_on(0, count)
    if model == "last_touch":
        return _all_on(count - 1, count)
    if model == "last_non_direct":
        other = [position for position, touch in enumerate(journey) if touch.channel != "direct"]
        return _all_on(other[-1] if other else count - 1, count)
    if model == "linear":
        return [Fraction(1, count)] * count
    if model == "time_decay":
        return _time_decay(journey, number(policy, "attribution_half_life_days"))
    if model == "position_based":
        first, last = number(policy, "attribution_first_weight"), number(policy, "attribution_last_weight")
        return _position_based(count, first, last)
    if model == DATA_DRIVEN:
        return _data_driven(journey, policy)
    raise ValueError(f"unknown attribution model {model!r}")


def credit_units(exact: Sequence[Fraction]) -> list[int]:
    """The credits in units of 1e-12: each share rounded half away from zero, the last 1 less the others.

    Many shares rounded up can pass 1 together: what is credited so far is kept to 1, and no credit is below 0.
    """
    units = []
    credited = 0
    for share in exact[:-1]:
        units.append(min(half_away(share * UNIT), UNIT - credited))
        credited += units[-1]
    return [*units, UNIT - credited]


def cent_parts(units: Sequence[int], revenue_cents: int) -> list[int]:
    """Whole cents for each touch, adding up to revenue_cents; units: its credits in 1e-12.

    With C(i) the credit of touches 1..i: round(C(i) R) - round(C(i-1) R).
    """
    parts = []
    cumulated, paid = 0, 0
    for unit in units:
        cumulated += unit
        due = half_away(Fraction(cumulated * revenue_cents, UNIT))
        parts.append(due - paid)
        paid = due
    return parts


def _data_driven(journey: Sequence[Touch], policy: Policy) -> list[Fraction]:
    """By the calibration in force: a rule with parameters of its own, or weights of the distinct channels."""
    in_force = calibration(policy)
    method, parameters = in_force["method"], in_force["parameters"]
    if method == "time_decay":
        return _time_decay(journey, Fraction(parameters["half_life_days"]))
    if method == "position_based":
        return _position_based(len(journey), Fraction(parameters["first_weight"]), Fraction(parameters["last_weight"]))
    if method == "policy":
        return shares("position_based", journey, policy)
    weights = in_force["weights"]
    smallest = min(weights.values())
    channels = [touch.channel for touch in journey]
    met = {channel: weights.get(channel, smallest) for channel in channels}
    if not sum(met.values()):
        return [Fraction(1, len(journey))] * len(journey)
    return [Fraction(met[channel], sum(met.values())) / channels.count(channel) for channel in channels]


def _all_on(position: int, count: int) -> list[Fraction]:
    return [Fraction(int(each == position)) for each in range(count)]


def _time_decay(journey: Sequence[Touch], half_life_days: Fraction) -> list[Fraction]:
    """Weights 2^(-(time before the last touch) / half-life): the same shares as before the conversion."""
    half_life_us = half_life_days * 86_400_000_000
    with localcontext() as context:
        context.prec = DIGITS
        weights = []
        for touch in journey:
            age = Fraction((journey[-1].touched_at - touch.touched_at) // timedelta(microseconds=1)) / half_life_us
            weights.append(Fraction(Decimal(2) ** (Decimal(-age.numerator) / Decimal(age.denominator))))
    total = sum(weights)
    return [weight / total for weight in weights]


def _position_based(count: int, first: Fraction, last: Fraction) -> list[Fraction]:
    if count == 1:
        return [Fraction(1)]
    if count == 2:
        return [Fraction(1, 2)] * 2 if first + last == 0 else [first / (first + last), last / (first + last)]
    return [first, *[(1 - first - last) / (count - 2)] * (count - 2), last]
