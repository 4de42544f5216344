"""What a brief may be written about, and what each variant of a campaign's content brought: recipient by recipient."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from tests.oracles.attribution import Row
from tests.oracles.campaigns import AddressKey, Deliveries
from tests.oracles.feeds import Feeds, Record, field, instant, visible_events
from tests.oracles.policy import Policy, number, span
from tests.oracles.rounding import DECIMALS, ratio
from tests.oracles.viral import Referrals

Recipient = tuple[str, str]
"""Campaign and address key."""
Interval = tuple[Decimal, Decimal]
MICROSECOND = timedelta(microseconds=1)
CONTROL = "control"
REWRITABLE = ("active", "paused", "scheduled")
DIGITS = 60
Z_95, Z_99 = Decimal("1.959963984540054"), Decimal("2.575829303548901")
"""Standard deviations on either side of the mean within which 95, or 99, of 100 draws lie."""


def wilson(successes: int, trials: int, z: Decimal) -> Interval:
    """The shares p for which |successes / trials - p| <= z * sqrt(p (1 - p) / trials): Wilson's interval, to 60 digits.

    Both ends solve the quadratic (trials + z^2) p^2 - (2 successes + z^2) p + successes^2 / trials = 0.
    """
    with localcontext(prec=DIGITS):
        n, s = Decimal(trials), Decimal(successes)
        middle = (s + z * z / 2) / (n + z * z)
        half = (middle * middle - s * s / n / (n + z * z)).sqrt()
        return middle - half, middle + half


def newcombe(one: tuple[int, int], other: tuple[int, int], z: Decimal) -> Interval:
    """The interval of a difference of two shares, each of (successes, trials), from Wilson's of each (method 10)."""
    with localcontext(prec=DIGITS):
        (low, high), (other_low, other_high) = wilson(*one, z), wilson(*other, z)
        share, other_share = Decimal(one[0]) / one[1], Decimal(other[0]) / other[1]
        below = ((share - low) ** 2 + (other_high - other_share) ** 2).sqrt()
        above = ((high - share) ** 2 + (other_share - other_low) ** 2).sqrt()
        return share - other_share - below, share - other_share + above


def always(one: tuple[int, int], other: tuple[int, int], typical: Decimal) -> Interval:
    """The interval of a difference of two shares, within -1 and 1, that holds at all times of looking, 19 times in 20.

    The differences d for which the observed one is less than 20 times as likely under lifts that spread normally around
    d, by `typical`, as under d itself: solved by halving, where the mart has the closed form.
    """
    with localcontext(prec=DIGITS):
        spread = typical * typical
        variance = Decimal(0)
        for successes, trials in (one, other):
            n = Decimal(trials + 2)
            share = (successes + 1) / n
            variance += share * (1 - share) / n

        def evidence(away: Decimal) -> Decimal:
            """Logarithm of how much likelier."""
            wide = variance + spread
            return (variance / wide).ln() / 2 - away * away / wide / 2 + away * away / variance / 2

        low, high = Decimal(0), Decimal(1)
        while evidence(high) < Decimal(20).ln():
            high *= 2
        for _halving in range(180):
            middle = (low + high) / 2
            low, high = (middle, high) if evidence(middle) < Decimal(20).ln() else (low, middle)
        lift = Decimal(one[0]) / one[1] - Decimal(other[0]) / other[1]
        return max(lift - high, Decimal(-1)), min(lift + high, Decimal(1))


def content_opportunities(
    deliveries: Deliveries, connectors: Sequence[Row], referrals: Referrals, as_of: datetime, policy: Policy
) -> list[Row]:
    """A row per campaign that surely falls short of the others of its channel, and one per group of enough people.

    connectors: rows of super_connectors.
    """
    rows = _underperforming(deliveries, policy)
    if policy["viral_tracking_enabled"]:
        rows += _groups(connectors, referrals, as_of, policy)
    return [row | {"as_of": as_of} for row in rows]


def _underperforming(deliveries: Deliveries, policy: Policy) -> list[Row]:
    least, least_shortfall = number(policy, "content_min_recipients"), number(policy, "content_min_shortfall")
    described = {name: record for name, record in deliveries.campaigns.items() if record is not None}
    rows = []
    for name, record in described.items():
        channel = _channel(record)
        others = [other for other in described if other != name and _channel(described[other]) == channel]
        own, benchmark = _judged(deliveries, [name]), _judged(deliveries, others)
        if record["status"] not in REWRITABLE or own[1] < least or benchmark[1] < least:
            continue
        shortfall_low = _told(newcombe(benchmark, own, Z_99)[0])
        if shortfall_low > least_shortfall:
            low, high = wilson(*own, Z_99)
            shortfall = Fraction(*benchmark) - Fraction(*own)
            rows.append(
                {
                    "kind": "underperforming_campaign",
                    "subject_id": name,
                    "subject_name": record["name"],
                    "channel": channel,
                    "people": own[1],
                    "rate": ratio(*own),
                    "rate_low": _told(low),
                    "rate_high": _told(high),
                    "benchmark_people": benchmark[1],
                    "benchmark_rate": ratio(*benchmark),
                    "shortfall": ratio(shortfall, 1),
                    "shortfall_low": shortfall_low,
                    "amount_cents": None,
                    "deadline_on": None,
                }
            )
    return rows


def _groups(connectors: Sequence[Row], referrals: Referrals, as_of: datetime, policy: Policy) -> list[Row]:
    last_on = (as_of - MICROSECOND).astimezone(UTC).date()
    subject_id = f"week-{(last_on - timedelta(days=last_on.weekday())).isoformat()}"
    since = as_of - span(policy, "content_new_days")
    new = [row for row in connectors if since < row["connected_at"] <= as_of]
    soonest, window = as_of + span(policy, "content_lead_days"), span(policy, "invite_window_days")
    until = soonest + span(policy, "content_expiring_days")
    expiring = [
        (invite.recipient, invite.sent_at + window)
        for key, invite in referrals.invites.items()
        if referrals.outcomes[key] == "pending" and soonest <= invite.sent_at + window <= until
    ]
    ends = [expires_at.astimezone(UTC).date() for _recipient, expires_at in expiring]
    found = [
        {
            "kind": "super_connectors",
            "people": len(new),
            "rate": ratio(sum(row["credited_joins"] for row in new), sum(row["invites"] for row in new)),
            "amount_cents": sum(row["reward_due_cents"] for row in new),
            "deadline_on": None,
        },
        {
            "kind": "expiring_invites",
            "people": len({recipient for recipient, _expires_at in expiring}),
            "rate": None,
            "amount_cents": None,
            "deadline_on": min(ends) - timedelta(days=1) if ends else None,
        },
    ]
    unknown = dict.fromkeys(
        (
            *("subject_name", "channel", "rate_low", "rate_high"),
            *("benchmark_people", "benchmark_rate", "shortfall", "shortfall_low"),
        )
    )
    enough = number(policy, "content_min_people")
    return [row | unknown | {"subject_id": subject_id} for row in found if row["people"] and row["people"] >= enough]


def content_performance(
    feeds: Feeds, deliveries: Deliveries, as_of: datetime, policy: Policy, address_key: AddressKey
) -> list[Row]:
    """A row per variant that a recipient of a campaign counts for, and one for the control of each such campaign."""
    variants = variants_of(feeds, as_of, address_key)
    rows = []
    for campaign in {campaign for campaign, _recipient in variants}:
        groups: dict[str, list[str]] = {CONTROL: []}
        for (name, recipient), variant in variants.items():
            if name == campaign:
                groups.setdefault(variant, []).append(recipient)
        groups[CONTROL] = groups[CONTROL] or _beside(deliveries, campaign, variants)
        control = _counts(deliveries, campaign, groups[CONTROL])
        for variant, recipients in groups.items():
            delivered, converted, matured = _counts(deliveries, campaign, recipients)
            rows.append(
                {
                    "campaign_id": campaign,
                    "variant_id": variant,
                    "is_control": variant == CONTROL,
                    "delivered": delivered,
                    "matured_delivered": matured,
                    "converted": converted,
                    "conversion_rate": ratio(converted, matured),
                }
                | _against(None if variant == CONTROL else control[1:], (converted, matured), policy)
                | {"as_of": as_of}
            )
    return rows


def variants_of(feeds: Feeds, as_of: datetime, address_key: AddressKey) -> dict[Recipient, str]:
    """The variant of each recipient for whom an event of the campaign names one: that of the earliest such event."""
    earliest: dict[Recipient, tuple[datetime, str, str]] = {}
    for record in visible_events(feeds, "campaign_events", as_of):
        variant = _variant(record)
        if variant is not None:
            recipient = record["campaign_id"], address_key(record["recipient_email"])
            named = instant(record["occurred_at"]), record["event_id"], variant
            earliest[recipient] = min(named, earliest.get(recipient, named))
    return {recipient: variant for recipient, (_at, _event_id, variant) in earliest.items()}


def _variant(record: Record) -> str | None:
    value = field(record, "variant_id")
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _beside(deliveries: Deliveries, campaign: str, variants: Mapping[Recipient, str]) -> list[str]:
    """Who got the campaign without a variant when one was already going out."""
    first = {recipient: at for (name, recipient), at in deliveries.first_delivered_at.items() if name == campaign}
    began_at = min((at for recipient, at in first.items() if (campaign, recipient) in variants), default=None)
    if began_at is None:
        return []
    return [recipient for recipient, at in first.items() if (campaign, recipient) not in variants and at >= began_at]


# Of variants that nobody here wrote, as in all drawn worlds.
UNPAID: Row = {"cost_usd_micros": None, "cost_usd_micros_per_extra_conversion": None}


def _counts(deliveries: Deliveries, campaign: str, recipients: Sequence[str]) -> tuple[int, int, int]:
    """(delivered, converted, matured) among these recipients of a campaign."""
    first = {recipient: deliveries.first_delivered_at.get((campaign, recipient)) for recipient in recipients}
    delivered = {recipient: at for recipient, at in first.items() if at is not None}
    matured = {recipient: at for recipient, at in delivered.items() if deliveries.has_matured(at)}
    return len(delivered), sum(deliveries.converted(*one) for one in matured.items()), len(matured)


def _against(control: tuple[int, int] | None, own: tuple[int, int], policy: Policy) -> Row:
    """What a variant brought beyond its control, both of (converted, matured); control: None for the control itself."""
    verdict = "control" if control is None else "no_data"
    if control is None or not control[1] or not own[1]:
        unknown = ("lift", "lift_low", "lift_high", "lift_always_low", "lift_always_high", "extra_conversions")
        return dict.fromkeys(unknown) | UNPAID | {"verdict": verdict}
    lift = Fraction(*own) - Fraction(*control)
    low, high = map(_told, newcombe(own, control, Z_95))
    typical = number(policy, "content_typical_lift")
    with localcontext(prec=DIGITS):
        always_low, always_high = map(_told, always(own, control, Decimal(typical.numerator) / typical.denominator))
    if min(own[1], control[1]) >= number(policy, "content_min_recipients"):
        verdict = "winner" if always_low > 0 else "loser" if always_high < 0 else "undecided"
    return {
        "lift": ratio(lift, 1),
        "lift_low": low,
        "lift_high": high,
        "lift_always_low": always_low,
        "lift_always_high": always_high,
        "extra_conversions": ratio(lift * own[1], 1),
        "verdict": verdict,
    } | UNPAID


def _judged(deliveries: Deliveries, campaigns: Sequence[str]) -> tuple[int, int]:
    """(converted, matured) over these campaigns; an address in two of them is two recipients."""
    matured = [
        (recipient, at)
        for (campaign, recipient), at in deliveries.first_delivered_at.items()
        if campaign in campaigns and deliveries.has_matured(at)
    ]
    return sum(deliveries.converted(*one) for one in matured), len(matured)


def _channel(record: Record) -> str:
    return field(record, "channel") or "unknown"


def _told(value: Decimal) -> Decimal:
    """To twelve decimals, halves away from zero."""
    with localcontext(prec=DIGITS):
        return value.quantize(Decimal(1).scaleb(-DECIMALS), ROUND_HALF_UP)
