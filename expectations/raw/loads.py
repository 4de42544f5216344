"""[pure] The claims that suites of raw feeds are put together from: each says what to measure of a load's rows, and
which bounds of the policy the figure must keep.

A figure is a column of the frame that is judged, one row per load. It is null where a load cannot be judged: fewer
than history_min_loads earlier loads, or too few records.
"""

from dataclasses import dataclass
from enum import StrEnum

from orchestration.policy import Policy

from ..suite import Expectation, Suite, between, percent


class Kind(StrEnum):
    """What is measured of a column: records by its values; the value that most records name; its amounts of money;
    times after the load's arrival; change against earlier exchange rates."""

    MIX = "mix"
    PERSON = "person"
    AMOUNT = "amount"
    CLOCK = "clock"
    RATE = "rate"


@dataclass(frozen=True)
class Measure:
    """What to measure, of which column of the raw table."""

    kind: Kind
    column: str


@dataclass(frozen=True)
class Claim:
    """Expectations, and what must be measured for them beyond what raw.loads says."""

    expectations: tuple[Expectation, ...]
    measure: Measure | None = None


@dataclass(frozen=True)
class LoadSuite(Suite):
    """A suite whose rows are the new loads of one feed."""

    feed: str = ""
    measures: tuple[Measure, ...] = ()


def load_suite(feed: str, *claims: Claim) -> LoadSuite:
    """The suite of raw.<feed>."""
    return LoadSuite(
        f"raw.{feed}",
        tuple(expectation for claim in claims for expectation in claim.expectations),
        ("load_id",),
        feed,
        tuple(claim.measure for claim in claims if claim.measure is not None),
    )


def every_load(policy: Policy) -> Claim:
    """What holds of a load of any feed, by the ledger's own numbers."""
    return Claim(
        (
            between(
                "quarantined_share",
                f"at most {percent(policy.load_max_quarantined_share)} of a load is quarantined "
                "(load_max_quarantined_share)",
                at_most=policy.load_max_quarantined_share,
            ),
            between(
                "conflicting_share",
                f"at most {percent(policy.load_max_conflicting_share)} of a load contradicts what was sent before "
                "(load_max_conflicting_share)",
                at_most=policy.load_max_conflicting_share,
            ),
            between(
                "volume_ratio",
                f"a load is at most {policy.load_max_volume_ratio:g} times as large as usual (load_max_volume_ratio)",
                at_most=policy.load_max_volume_ratio,
            ),
            between(
                "backdated_days",
                f"a load reaches at most {policy.load_max_backdated_days} days back beyond all earlier ones "
                "(load_max_backdated_days)",
                at_most=policy.load_max_backdated_days,
            ),
        )
    )


def happened_before_it_came(column: str, policy: Policy) -> Claim:
    """Events are dated before their arrival."""
    claim = (
        f"at most {percent(policy.load_max_future_share)} of a load is dated after its arrival (load_max_future_share)"
    )
    most = policy.load_max_future_share
    return Claim((between("future_share", claim, at_most=most),), Measure(Kind.CLOCK, column))


def mixed_as_before(column: str, policy: Policy) -> Claim:
    """The shares of a column's values resemble those of some earlier load."""
    claim = (
        f"at most {percent(policy.load_max_mix_shift)} of a load would have to change {column} to look like the most "
        "similar earlier load (load_max_mix_shift)"
    )
    most = policy.load_max_mix_shift
    return Claim((between(f"{column}_shift", claim, at_most=most),), Measure(Kind.MIX, column))


def many_people(column: str, policy: Policy) -> Claim:
    """No placeholder stands where a person should."""
    claim = (
        f"at most {percent(policy.load_max_one_person_share)} of a load names the same {column} "
        "(load_max_one_person_share)"
    )
    most = policy.load_max_one_person_share
    return Claim((between(f"one_{column}_share", claim, at_most=most),), Measure(Kind.PERSON, column))


def amounts_of_money(column: str, policy: Policy) -> Claim:
    """Amounts are in cents: none is absurd, and the typical one is like before."""
    ratio = policy.load_max_amount_ratio
    return Claim(
        (
            between(
                f"largest_{column}",
                f"no {column} is above {policy.load_max_record_cents:,} (load_max_record_cents)",
                at_most=policy.load_max_record_cents,
            ),
            between(
                f"typical_{column}_ratio",
                f"the typical {column} is within {ratio:g} times the earlier ones (load_max_amount_ratio)",
                at_least=1 / ratio,
                at_most=ratio,
            ),
        ),
        Measure(Kind.AMOUNT, column),
    )


def rates_that_move_little(column: str, policy: Policy) -> Claim:
    """An exchange rate is near the last one of its currency."""
    most = policy.load_max_rate_change
    claim = f"no {column} is more than {most:g} times the last one, or less than that part (load_max_rate_change)"
    return Claim((between("rate_change", claim, at_most=most),), Measure(Kind.RATE, column))
