"""Joins per user under a negative binomial, term by term: no roots, no tail functions, no closed forms."""

import math
from collections.abc import Sequence
from fractions import Fraction


def probabilities(r: float, k: float, most: int) -> list[float]:
    """P(0), P(1), ..., P(most) joins of one user, each from the one before it."""
    if math.isinf(k):
        terms = [math.exp(-r)]
        for joins in range(most):
            terms.append(terms[-1] * r / (joins + 1))
        return terms
    terms = [(k / (k + r)) ** k]
    for joins in range(most):
        terms.append(terms[-1] * (k + joins) / (joins + 1) * r / (k + r))
    return terms


def extinction(r: float, k: float, *, most: int = 3000, generations: int = 3000) -> float:
    """Probability of nobody left after so many generations, one after the other."""
    terms = probabilities(r, k, most)
    dead = 0.0
    for _ in range(generations):
        value = 0.0
        for term in reversed(terms):
            value = value * dead + term
        if value == dead:
            break
        dead = value
    return dead


def share_of_inviters(r: float, k: float, share: float, *, most: int = 20_000) -> float:
    """Walk down from the users with the most joins until they have brought the share."""
    terms = probabilities(r, k, most)
    missing = share * sum(joins * term for joins, term in enumerate(terms))
    people = 0.0
    for joins in range(most, 0, -1):
        if joins * terms[joins] >= missing:
            return people + missing / joins
        missing -= joins * terms[joins]
        people += terms[joins]
    return people


def measured_share(joins_per_user: Sequence[int], share: Fraction) -> Fraction:
    """One user after the other, from the most joins down; of the last one just the part that is needed."""
    missing = share * sum(joins_per_user)
    people = Fraction(0)
    for joins in sorted(joins_per_user, reverse=True):
        if missing == 0:
            break
        part = min(Fraction(1), missing / joins)
        people += part
        missing -= part * joins
    return people / len(joins_per_user)


def log_likelihood(joins_per_user: Sequence[int], r: float, k: float) -> float:
    """Sum of the logs of each user's probability."""
    terms = probabilities(r, k, max(joins_per_user))
    return sum(math.log(terms[joins]) for joins in joins_per_user)
