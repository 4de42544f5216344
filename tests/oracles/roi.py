"""What came back for what was spent: channel_roi, campaign_roi, marketing_roi_summary."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from tests.oracles.attribution import UNATTRIBUTED, Row
from tests.oracles.journeys import NO_CAMPAIGN
from tests.oracles.money import Cost
from tests.oracles.policy import MODELS
from tests.oracles.rounding import half_away, ratio

LEAST_SIGNUPS = Decimal("0.000001")
NOTHING = {"revenue_cents": 0, "conversions": Decimal("0.000000000000"), "signups": Decimal("0.000000000000")}


def channel_roi(by_channel: Iterable[Row], costs: Iterable[Cost], models: Sequence[str] = MODELS) -> list[Row]:
    """date x attribution_model x channel: every key that has attribution, cost, or both.

    A side that is missing counts 0. The cost of a day is the same under every model. Costs without a rate
    are held out.
    """
    spent: dict[tuple, int] = defaultdict(int)
    for cost in costs:
        if cost.cost_cents is not None:
            for model in models:
                spent[cost.spend_on, model, cost.channel] += cost.cost_cents
    earned = {(row["date"], row["attribution_model"], row["channel"]): row for row in by_channel}
    return [
        {"date": key[0], "attribution_model": key[1], "channel": key[2]}
        | _returns(spent.get(key, 0), earned.get(key, NOTHING))
        for key in spent.keys() | earned.keys()
    ]


def campaign_roi(by_campaign: Iterable[Row], costs: Iterable[Cost], models: Sequence[str] = MODELS) -> list[Row]:
    """attribution_model x campaign_id over all days; spend without a campaign falls to `(none)`."""
    spent: dict[tuple, int] = defaultdict(int)
    for cost in costs:
        if cost.cost_cents is not None:
            for model in models:
                spent[model, cost.campaign_id or NO_CAMPAIGN] += cost.cost_cents
    earned: dict[tuple, Row] = defaultdict(lambda: dict(NOTHING))
    for row in by_campaign:
        total = earned[row["attribution_model"], row["campaign_id"]]
        for figure in NOTHING:
            total[figure] += row[figure]
    return [
        {"attribution_model": key[0], "campaign_id": key[1]} | _returns(spent.get(key, 0), earned.get(key, NOTHING))
        for key in spent.keys() | earned.keys()
    ]


def _returns(cost_cents: int, earned: Mapping) -> Row:
    """The figures of one row. All ratios are None without cost; cac_cents also without attributed signups.

    Less than a millionth of one is what rounding left: a cost per that would not even fit a bigint.
    """
    revenue_cents, signups = earned["revenue_cents"], earned["signups"]
    has_cac = cost_cents != 0 and signups >= LEAST_SIGNUPS
    return {
        "cost_cents": cost_cents,
        "revenue_cents": revenue_cents,
        "conversions": earned["conversions"],
        "signups": signups,
        "roi_pct": ratio((revenue_cents - cost_cents) * 100, cost_cents),
        "roas": ratio(revenue_cents, cost_cents),
        "cac_cents": half_away(Fraction(cost_cents) / Fraction(signups)) if has_cac else None,
    }


def marketing_roi_summary(
    attribution: Sequence[Row], model: str, conversion_rates: Mapping[str, Decimal | None]
) -> list[Row]:
    """A row for each date with a conversion in fct_attribution, under the headline model.

    revenue: units of currency, two decimals, without `unattributed`. campaigns: distinct ones with credit
    above 0 that day, `(none)` not among them. avg_conversion: plain mean of their conversion_rate, of those
    that have one; None when none has. conversion_rates: campaign_id -> that column of campaign_performance.
    """
    revenue_cents: dict = defaultdict(int)
    credited: dict = defaultdict(set)
    for row in attribution:
        on = row["converted_on"]
        attributed = row["channel"] != UNATTRIBUTED
        revenue_cents[on] += row[f"{model}_revenue_cents"] if attributed else 0
        if row["campaign_id"] != NO_CAMPAIGN and row[f"{model}_credit"] > 0:
            credited[on].add(row["campaign_id"])
    summary = []
    for on, cents in revenue_cents.items():
        rates = [rate for campaign in credited[on] if (rate := conversion_rates.get(campaign)) is not None]
        summary.append(
            {
                "date": on,
                "revenue": Decimal(cents).scaleb(-2),
                "campaigns": len(credited[on]),
                "avg_conversion": ratio(sum(rates), len(rates)),
            }
        )
    return summary
