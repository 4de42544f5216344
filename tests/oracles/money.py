"""Money in the reporting currency: rates of the day, net revenue of a conversion, cost of a day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from tests.oracles.feeds import Feeds, Fingerprint, day, field, instant, visible_events, visible_on_days
from tests.oracles.policy import Policy, number
from tests.oracles.rounding import half_away

DEFAULT_CURRENCY = "USD"


@dataclass(frozen=True)
class Conversion:
    """One conversion; revenue_cents: net, in the reporting currency, None when it is held out for want of a rate."""

    conversion_id: str
    person_id: str
    occurred_at: datetime
    conversion_type: str
    revenue_cents: int | None


@dataclass(frozen=True)
class Cost:
    """What one row of ad_spend cost; cost_cents: in the reporting currency, None for want of a rate."""

    spend_on: date
    channel: str
    campaign_id: str | None
    cost_cents: int | None


class Rates:
    """Exchange rates as known at as_of: units of the reporting currency for one of another."""

    def __init__(self, feeds: Feeds, as_of: datetime, policy: Policy, fingerprint: Fingerprint) -> None:
        self._reporting: str = policy["reporting_currency"]
        self._max_age_days = int(number(policy, "fx_max_age_days"))
        self._known: Mapping[tuple[str, date], Fraction] = {
            (record["currency"], day(record["rate_on"])): Fraction(str(record["rate"]))
            for record in visible_on_days(feeds, "exchange_rates", "rate_on", as_of, fingerprint)
        }

    def convert(self, cents: int, currency: str, on: date) -> int | None:
        """cents of a currency on a day, in the reporting one, rounded half away from zero.

        The last rate of that day or of the fx_max_age_days before it; None when there is none. The
        reporting currency itself is worth 1, whatever a record says of it.
        """
        if currency == self._reporting:
            return cents
        for age in range(self._max_age_days + 1):
            rate = self._known.get((currency, on - timedelta(days=age)))
            if rate is not None:
                return half_away(cents * rate)
        return None


def conversions_of(feeds: Feeds, as_of: datetime, rates: Rates) -> list[Conversion]:
    """Every conversion up to as_of with its net revenue, in order of (occurred_at, conversion_id).

    Net is revenue less all refunds up to as_of, in the conversion's currency and never below 0, then
    converted once at the rate of the conversion's day.
    """
    refunded: dict[str, int] = {}
    for record in visible_events(feeds, "refunds", as_of):
        of = record["conversion_id"]
        refunded[of] = refunded.get(of, 0) + int(record["refund_cents"])
    conversions = []
    for record in visible_events(feeds, "conversions", as_of):
        occurred_at = instant(record["occurred_at"])
        net_cents = max(0, int(record["revenue_cents"]) - refunded.get(record["conversion_id"], 0))
        currency = field(record, "currency") or DEFAULT_CURRENCY
        conversions.append(
            Conversion(
                conversion_id=record["conversion_id"],
                person_id=record["user_id"],
                occurred_at=occurred_at,
                conversion_type=record["conversion_type"],
                revenue_cents=rates.convert(net_cents, currency, occurred_at.astimezone(UTC).date()),
            )
        )
    return sorted(conversions, key=lambda conversion: (conversion.occurred_at, conversion.conversion_id))


def costs_of(feeds: Feeds, as_of: datetime, rates: Rates, fingerprint: Fingerprint) -> list[Cost]:
    """What ad_spend last said of each (day, channel, campaign) up to as_of's day.

    Each row is converted and rounded by itself, at the rate of its day.
    """
    return [
        Cost(
            spend_on=day(record["spend_on"]),
            channel=field(record, "channel") or "unknown",
            campaign_id=field(record, "campaign_id"),
            cost_cents=rates.convert(
                int(record["cost_cents"]), field(record, "currency") or DEFAULT_CURRENCY, day(record["spend_on"])
            ),
        )
        for record in visible_on_days(feeds, "ad_spend", "spend_on", as_of, fingerprint)
    ]
