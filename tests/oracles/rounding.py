"""The two roundings of the marts: half away from zero, to a whole number and to twelve decimals."""

from decimal import Decimal
from fractions import Fraction
from math import floor

DECIMALS = 12
UNIT = 10**DECIMALS
"""Credits are handled as whole numbers of 1e-12: 10**12 of them are one conversion."""


def half_away(value: Fraction) -> int:
    """The nearest whole number; halves go away from zero, as in PostgreSQL's numeric."""
    nearest = floor(abs(value) + Fraction(1, 2))
    return nearest if value >= 0 else -nearest


def decimal_of(units: int) -> Decimal:
    """units x 1e-12 as a Decimal with twelve decimals."""
    return Decimal(units).scaleb(-DECIMALS)


def ratio(numerator: Fraction | Decimal | int, denominator: Fraction | Decimal | int) -> Decimal | None:
    """numerator / denominator to twelve decimals by one division, None when the denominator is 0."""
    if denominator == 0:
        return None
    return decimal_of(half_away(Fraction(numerator) / Fraction(denominator) * UNIT))
