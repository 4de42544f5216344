"""The lag distribution from its definition, in fractions; and from what is seen of it, wrongly."""

from collections.abc import Sequence
from fractions import Fraction


def cumulated(lags: Sequence[int], ages: Sequence[int], upto: int) -> Fraction:
    """M(upto): each join with a lag of at most that weighs 1 / the users who are at least so old."""
    return sum((Fraction(1, sum(age >= lag for age in ages)) for lag in lags if lag <= upto), Fraction(0))


def distribution(lags: Sequence[int], ages: Sequence[int], horizon: int, at: int) -> Fraction | None:
    """F(at); None where it cannot be told."""
    whole = cumulated(lags, ages, horizon)
    if not any(age >= horizon for age in ages) or whole == 0:
        return None
    return cumulated(lags, ages, min(at, horizon)) / whole


def reverse_kaplan_meier(pairs: Sequence[tuple[int, int]], horizon: int, at: int) -> Fraction | None:
    """F(at) from (lag, age of the inviter): how many stay at or below each greater lag, one lag after the other."""
    within = [(lag, age) for lag, age in pairs if lag <= horizon]
    if not any(age >= horizon for _, age in within):
        return None
    staying = Fraction(1)
    for step in sorted({lag for lag, _ in within if lag > at}):
        at_risk = sum(lag <= step <= age for lag, age in within)
        staying *= 1 - Fraction(sum(lag == step for lag, _ in within), at_risk)
    return staying


def kaplan_meier_over_invites(lags: Sequence[float | None], ages: Sequence[float], at: float) -> float:
    """WRONG as a lag distribution: invites that nobody took up count as lags still open at the inviter's age."""
    ends = sorted(((age, 1) if lag is None else (lag, 0)) for lag, age in zip(lags, ages, strict=True))
    surviving = 1.0
    for place, (time, censored) in enumerate(ends):
        if time > at:
            break
        if not censored:
            surviving *= 1 - 1 / (len(ends) - place)
    return 1 - surviving


def share_of_seen_lags(lags: Sequence[float], horizon: float, at: float) -> float:
    """WRONG as a lag distribution: the lags seen so far, the slow ones of young inviters among the missing."""
    seen = [lag for lag in lags if lag <= horizon]
    return sum(lag <= at for lag in seen) / len(seen)
