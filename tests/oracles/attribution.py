"""fct_attribution and its two rollups."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from tests.oracles.credits import cent_parts, credit_units, shares
from tests.oracles.journeys import NO_CAMPAIGN, Touch
from tests.oracles.money import Conversion
from tests.oracles.policy import DATA_DRIVEN, MODELS, Policy, calibration
from tests.oracles.rounding import decimal_of

Row = dict[str, Any]
UNATTRIBUTED = "unattributed"
CREDITED = (*MODELS, DATA_DRIVEN)
"""The models that have columns in fct_attribution."""


def fct_attribution(journeys: Iterable[tuple[Conversion, Sequence[Touch]]], policy: Policy) -> list[Row]:
    """One row per conversion and touch of its journey; a conversion without a touch has one row.

    That row carries all credit under channel `unattributed` and campaign `(none)`: touchpoint_id,
    touched_at and touch_position are None and touch_count is 0.
    """
    return [row for conversion, journey in journeys for row in _rows_of(conversion, journey, policy)]


def _rows_of(conversion: Conversion, journey: Sequence[Touch], policy: Policy) -> list[Row]:
    revenue_cents = conversion.revenue_cents
    if revenue_cents is None:
        raise ValueError(f"conversion {conversion.conversion_id} has no rate: it is held out of attribution")
    common = {
        "conversion_id": conversion.conversion_id,
        "person_id": conversion.person_id,
        "conversion_type": conversion.conversion_type,
        "converted_at": conversion.occurred_at,
        "converted_on": conversion.occurred_at.date(),
        "touch_count": len(journey),
        "revenue_cents": revenue_cents,
        "calibration_id": calibration(policy)["calibration_id"],
    }
    if not journey:
        nothing = {"touchpoint_id": None, "touched_at": None, "touch_position": None}
        row = common | nothing | {"channel": UNATTRIBUTED, "campaign_id": NO_CAMPAIGN}
        for model in CREDITED:
            row[f"{model}_credit"] = Decimal("1.000000000000")
            row[f"{model}_revenue_cents"] = revenue_cents
        return [row]

    rows = [
        common
        | {
            "touchpoint_id": touch.touchpoint_id,
            "touched_at": touch.touched_at,
            "touch_position": position,
            "channel": touch.channel,
            "campaign_id": touch.campaign_id,
        }
        for position, touch in enumerate(journey, start=1)
    ]
    for model in CREDITED:
        units = credit_units(shares(model, journey, policy))
        for row, unit, part in zip(rows, units, cent_parts(units, revenue_cents), strict=True):
            row[f"{model}_credit"] = decimal_of(unit)
            row[f"{model}_revenue_cents"] = part
    return rows


def attribution_by(dimension: str, attribution: Iterable[Row], models: Sequence[str] = MODELS) -> list[Row]:
    """date (of conversion) x attribution_model x dimension (`channel` or `campaign_id`).

    Every model has a row for every value that stands in fct_attribution on that day, also where it gives
    that value nothing: the models always show the same keys.
    """
    sums: dict[tuple[date, str, str], Row] = defaultdict(
        lambda: {"conversions": Decimal("0.000000000000"), "signups": Decimal("0.000000000000"), "revenue_cents": 0}
    )
    for row in attribution:
        for model in models:
            total = sums[row["converted_on"], model, row[dimension]]
            total["conversions"] += row[f"{model}_credit"]
            total["revenue_cents"] += row[f"{model}_revenue_cents"]
            if row["conversion_type"] == "signup":
                total["signups"] += row[f"{model}_credit"]
    return [
        {"date": on, "attribution_model": model, dimension: value, **total}
        for (on, model, value), total in sums.items()
    ]
