"""What is fitted from the statistics that builds keep: removal effects, Shapley values, intervals, accuracy."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from psycopg.rows import dict_row

from tests.engine import Engine, policy
from tests.oracles import markov as markov_oracle
from tests.oracles.attribution import CREDITED, Row
from tests.oracles.feeds import Record
from tests.oracles.oracle import by_grain
from tests.oracles.shapley import count_worth, rate_worth, shapley_values
from tests.oracles.worlds import World, arrivals, world

GRAINS = {
    "channel_removal_effects": ("method", "markov_order", "channel"),
    "channel_credit_intervals": ("attribution_model", "channel"),
    "attribution_accuracy": ("truth_method", "attribution_model", "calibration_id", "period_end_on"),
}
FEW = {"attribution_accuracy_min_conversions": 1}
DAY = timedelta(days=1)


def fitted(engine: Engine, schema: str = "marts") -> dict[str, list[Row]]:
    """The marts of fits, sorted by grain."""
    with engine.warehouse.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return {
            table: by_grain(cursor.execute(f"select * from {schema}.{table}").fetchall(), grain)
            for table, grain in GRAINS.items()
        }


def answered(seed: int) -> World:
    """A world in which every conversion has an answer of each method."""
    drawn = world(seed, clashes=False, policies=False, people=4)
    luck = Random(seed)
    truth: list[Record] = [
        {
            "conversion_id": record["conversion_id"],
            "channel": luck.choice(("email", "direct", "social", "billboard", "none")),
            "method": method,
            "occurred_at": record["occurred_at"],
        }
        for record in drawn.feeds["conversions"]
        for method in ("survey", "experiment")
    ]
    drawn.feeds["attribution_truth"] = truth
    return World(drawn.feeds, drawn.as_of, drawn.overrides | FEW)


def built(engine: Engine, drawn: World) -> dict[str, list[Row]]:
    """The marts of fits after a build of everything."""
    with policy(drawn.overrides):
        engine.ingest(drawn.feeds)
        engine.build(drawn.as_of)
    return fitted(engine)


@pytest.mark.parametrize("seed", [31, pytest.param(32, marks=pytest.mark.soak)])
def test_effects_are_those_of_the_oracles_on_the_paths_of_the_oracle(engine: Engine, seed: int) -> None:
    """Prevents statistics that lose a step on their way, and fits of other paths than those shown."""
    drawn = answered(seed)
    found = built(engine, drawn)["channel_removal_effects"]
    paths = engine.expected(drawn.feeds, drawn.as_of, drawn.overrides)["path_summary"]
    journeys = [(tuple(row["path"].split(" > ")), row["conversions"], row["non_conversions"]) for row in paths]
    conversions = sum(row["conversions"] for row in paths)
    cents = sum(row["revenue_cents"] for row in paths)

    for order in (1, 2, 3):
        rows = {row["channel"]: row for row in found if row["markov_order"] == order}
        expected = markov_oracle.removal_effects(journeys, order)
        effects = {channel: row["removal_effect"] for channel, row in rows.items()}
        assert effects == pytest.approx({channel: float(effect) for channel, effect in expected.items()}, abs=1e-12)
        shared_alike(rows, expected, journeys, conversions, cents)
    channels = {channel for path, _, _ in journeys for channel in path}
    for method, worth in (("shapley", rate_worth), ("shapley_simple", count_worth)):
        rows = {row["channel"]: row for row in found if row["method"] == method}
        expected = shapley_values(channels, worth(journeys))
        values = {channel: row["shapley_value"] for channel, row in rows.items()}
        assert values == pytest.approx({channel: float(value) for channel, value in expected.items()}, abs=1e-12)
        if method == "shapley":
            weights = {channel: max(value, Fraction(0)) for channel, value in expected.items()}
            shared_alike(rows, weights, journeys, conversions, cents)


def shared_alike(
    rows: dict[str, Row], weights: dict[str, Fraction], journeys: list, conversions: int, cents: int
) -> None:
    """Totals are shared by weight, exactly; within journeys as credit of touches is."""
    total = sum(weights.values())
    assert sum(row["conversions"] for row in rows.values()) == conversions
    assert sum(row["revenue_cents"] for row in rows.values()) == cents
    for channel, row in rows.items():
        share = Fraction(weights[channel]) / total if total else Fraction(1, len(weights))
        assert row["conversions"] == pytest.approx(Decimal(float(share * conversions)), abs=Decimal("1e-9"))
        assert abs(row["revenue_cents"] - share * cents) <= 1
    within: dict[str, Fraction] = defaultdict(Fraction)
    for path, converted, _ in journeys:
        met = {channel: weights[channel] for channel in set(path)}
        for channel, weight in met.items():
            part = weight / sum(met.values()) if sum(met.values()) else Fraction(1, len(met))
            within[channel] += part * converted
    for channel, row in rows.items():
        assert row["touch_conversions"] == pytest.approx(Decimal(float(within[channel])), abs=Decimal("1e-9"))


def test_intervals_stand_on_what_fct_attribution_gives(engine: Engine) -> None:
    """Prevents intervals around other sums than those of the marts, `unattributed` included."""
    drawn = answered(33)
    found = built(engine, drawn)["channel_credit_intervals"]
    last_on = (drawn.as_of - timedelta(microseconds=1)).date()
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in engine.expected(drawn.feeds, drawn.as_of, drawn.overrides)["fct_attribution"]:
        if row["converted_on"] > last_on - timedelta(days=90):
            for model in CREDITED:
                sums[model, row["channel"]] += row[f"{model}_credit"]
    shown = {(row["attribution_model"], row["channel"]): row["conversions"] for row in found}
    assert shown == {key: conversions for key, conversions in sums.items() if key[0] != "data_driven"}
    assert all(row["conversions_low"] <= row["conversions_high"] and 0 <= row["rank_stability"] <= 1 for row in found)


@pytest.mark.parametrize("seed", [34, pytest.param(35, marks=pytest.mark.soak)])
def test_accuracy_is_what_the_definition_says(engine: Engine, seed: int) -> None:
    """Prevents an accuracy over the wrong conversions: without a touch, of no channel, outside the period."""
    drawn = answered(seed)
    found = built(engine, drawn)["attribution_accuracy"]
    facts = engine.expected(drawn.feeds, drawn.as_of, drawn.overrides)["fct_attribution"]
    truth = {
        (record["method"], record["conversion_id"]): record["channel"] for record in drawn.feeds["attribution_truth"]
    }
    assert {row["truth_method"] for row in found} == {"survey", "experiment"}
    for row in found:
        own = [
            (fact, truth[row["truth_method"], fact["conversion_id"]])
            for fact in facts
            if row["period_start_on"] <= fact["converted_on"] <= row["period_end_on"]
            and (row["truth_method"], fact["conversion_id"]) in truth
        ]
        judged = [(fact, channel) for fact, channel in own if channel != "none" and fact["touch_count"]]
        expected = counts_of(own, judged) | measured(judged, f"{row['attribution_model']}_credit")
        shown = {name: float(row[name]) if isinstance(row[name], Decimal) else row[name] for name in expected}
        assert shown == (pytest.approx(expected, abs=1e-9) if judged else expected)


def counts_of(own: list[tuple[Row, str]], judged: list[tuple[Row, str]]) -> dict[str, Any]:
    """Conversions judged, and those left out by reason."""
    return {
        "conversions": len({fact["conversion_id"] for fact, _ in judged}),
        "conversions_of_none": len({fact["conversion_id"] for fact, channel in own if channel == "none"}),
        "conversions_without_touch": sum(channel != "none" and not fact["touch_count"] for fact, channel in own),
    }


def measured(judged: list[tuple[Row, str]], credit: str) -> dict[str, Any]:
    """accuracy and hit_rate in plain sums."""
    conversions = {fact["conversion_id"]: channel for fact, channel in judged}
    if not conversions:
        return {"accuracy": None, "hit_rate": None}
    apart: dict[str, float] = defaultdict(float)
    hits = 0.0
    for fact, channel in judged:
        apart[fact["channel"]] += float(fact[credit])
        hits += float(fact[credit]) * (fact["channel"] == channel)
    for channel in conversions.values():
        apart[channel] -= 1
    return {
        "accuracy": 1 - sum(map(abs, apart.values())) / 2 / len(conversions),
        "hit_rate": hits / len(conversions),
    }


def test_fits_after_deltas_are_those_after_a_full_build(engine: Engine) -> None:
    """Prevents fits that depend on how the statistics were kept, or on when days left the window."""
    drawn = answered(36)
    with policy(drawn.overrides | {"attribution_fit_days": 60}):
        as_of = drawn.as_of
        for batch in arrivals(drawn.feeds, Random(1), 3, resent=0.3):
            engine.ingest(batch)
            engine.build(as_of)
            as_of += 9 * DAY
        found = fitted(engine)
        assert engine.build(as_of - 9 * DAY, full_reason="to compare").is_full
    assert fitted(engine) == found
