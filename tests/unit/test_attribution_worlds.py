"""Which model comes nearest to the truth of simulated worlds, and why: the claims of the documentation, seed by seed.

Accuracy is 1 less half the distance of shares of credit and of truth. Truth is the causal share of the conversions that
are credited (`causal`), or what people answered, over those who did (`survey`). Fits see no truth.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from math import comb
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest

from orchestration.attribution.markov import at_order, count_transitions, fit_markov
from orchestration.attribution.paths import PathCount
from orchestration.attribution.shapley import count_subsets, exact_shapley, shapley_simple
from orchestration.simulate import World
from orchestration.simulate.calendar import Span
from orchestration.simulate.draw import Draw, draw_world
from orchestration.simulate.lifecycle import SIGNUP, TRIAL
from orchestration.simulate.streams import Streams
from orchestration.simulate.survey import EXPERIMENT, SURVEY
from orchestration.simulate.world import DAY, DIRECT, EffectChange
from tests.oracles import credits as oracle
from tests.oracles import journeys as journeys_oracle
from tests.oracles.feeds import Feeds
from tests.oracles.journeys import Touch
from tests.oracles.money import Conversion
from tests.oracles.paths import paths_of
from tests.oracles.policy import policy_of
from tests.unit.simulated_journeys import (
    RULES,
    Journeys,
    Shares,
    accuracy,
    answered,
    causal_shares,
    journeys_of,
    rule_credits,
    weighted_credits,
)

UNTIL = datetime(2026, 3, 31, tzinfo=UTC)
FIT_DAYS = 90
POLICY = policy_of(Path(__file__).parents[2] / "dbt_project.yml")
WORLDS = {
    "biased": World(),
    "unbiased": World().unbiased(),
    "biased, no referrals": replace(World(), k=0.0),
    "unbiased, no referrals": replace(World(), k=0.0).unbiased(),
}
"""Referrals are four fifths of what is true in the default world: without them the other channels decide."""
DEAD = ("paid_search", "paid_social", "organic_search", "affiliate")
SWAP = EffectChange(45, dict.fromkeys(DEAD, 0.0) | {"display": 0.2, "retargeting": 0.2})
STEADY = replace(World(), k=0.8, programme_days=None, surveyed=0.2)
"""The default world's referral programme is young, and its share of what is true still grows; here it does not."""
WORTHS = ("rate", "conversions", "rate over direct alone", "noisy-or", "log-odds", "rate, shrunk")
MARKOV = {order: f"markov {order}" for order in range(1, 5)}


@dataclass(frozen=True)
class Size:
    """How many seeds, and seed users in each."""

    seeds: int
    people: int


@pytest.fixture(
    params=[
        pytest.param(Size(seeds=2, people=2_500), id="few"),
        pytest.param(Size(seeds=20, people=5_000), id="all", marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ]
)
def size(request: pytest.FixtureRequest) -> Size:
    return request.param


@dataclass(frozen=True)
class Judged:
    """Accuracy by model: name of a rule; `<fit>` credits touches by it, `<fit>, totals` shares all conversions."""

    causal: Mapping[str, float]
    survey: Mapping[str, float]


def drawn(world: World, seed: int, people: int) -> Draw:
    return draw_world(world, Streams(seed), Span.of(world, 91, UNTIL), people)


def days_before(draw: Draw, days: int) -> int:
    return draw.span.until - days * DAY


@cache
def judged(name: str, seed: int, people: int) -> Judged:
    """Every model fitted and judged on the conversions of the last 90 days of a world."""
    draw = drawn(WORLDS[name], seed, people)
    paths = journeys_of(draw, since=days_before(draw, FIT_DAYS))
    converting = paths.converting
    asked, told = answered(draw, converting)
    true = causal_shares(draw, converting)
    causal, survey = {}, {}
    for rule in RULES:
        causal[rule] = accuracy(converting.shares(rule_credits(converting, rule)), true)
        survey[rule] = accuracy(asked.shares(rule_credits(asked, rule)), told)
    for fit, weights in fits(paths).items():
        causal[fit] = accuracy(converting.shares(weighted_credits(converting, weights)), true)
        survey[fit] = accuracy(asked.shares(weighted_credits(asked, weights)), told)
        whole = sum(weights.values())
        totals = {channel: weight / whole for channel, weight in weights.items()}
        causal[f"{fit}, totals"], survey[f"{fit}, totals"] = accuracy(totals, true), accuracy(totals, told)
    return Judged(causal, survey)


def fits(paths: Journeys) -> dict[str, Shares]:
    """Weights of channels, at least 0, by name of the fit."""
    counts = paths.counts()
    transitions = count_transitions(counts, 4)
    chains = {name: fit_markov(at_order(transitions, order), order) for order, name in MARKOV.items()}
    found = {name: chain.removal_effects for name, chain in chains.items()}
    return {**found, **{worth: above_zero(values_of(worth, counts)) for worth in WORTHS}}


def above_zero(values: Mapping[str, float]) -> Shares:
    return {channel: max(value, 0.0) for channel, value in values.items()}


def values_of(worth: str, counts: list[PathCount]) -> Shares:
    """Shapley values for one of WORTHS, by the sum over all sets; the paths are those within each set."""
    channels = sorted({channel for path in counts for channel in path.channels})
    paths, conversions = (np.zeros(1 << len(channels)) for _ in range(2))
    for path in counts:
        mask = sum(1 << channels.index(channel) for channel in set(path.channels))
        paths[mask] += path.conversions + path.nulls
        conversions[mask] += path.conversions
    alone = 1 << channels.index(DIRECT)
    direct = conversions[alone] / max(paths[alone], 1)
    overall = conversions.sum() / paths.sum()
    for bit in range(len(channels)):
        for numbers in (paths, conversions):
            halves = numbers.reshape(-1, 2, 1 << bit)
            halves[:, 1] += halves[:, 0]
    rate = np.divide(conversions, paths, out=np.zeros_like(paths), where=paths > 0)
    # As if one path more had converted at the overall rate: no logarithm of 0.
    never_0_or_1 = (conversions + overall) / (paths + 1)
    of_sets, of_none = {
        "rate": (rate, 0.0),
        "conversions": (conversions, 0.0),
        "rate over direct alone": (np.where(paths > 0, rate, direct), direct),
        "noisy-or": (-np.log1p(-never_0_or_1), 0.0),
        "log-odds": (np.log(never_0_or_1 / (1 - never_0_or_1)), np.log(overall / (1 - overall))),
        "rate, shrunk": ((conversions + 100 * overall) / (paths + 100), 0.0),
    }[worth]
    return dict(zip(channels, shapley(np.concatenate([[of_none], of_sets[1:]])).tolist(), strict=True))


def shapley(worth: np.ndarray) -> np.ndarray:
    """Values of n players from the worth of every set, shape (2^n,): player i is in the sets that have bit i."""
    players = int(worth.size).bit_length() - 1
    others = np.bitwise_count(np.arange(worth.size)).astype(int)
    weight = np.array([1 / (players * comb(players - 1, size)) for size in range(players)] + [0.0])[others]
    values = []
    for bit in range(players):
        of, chance = (numbers.reshape(-1, 2, 1 << bit) for numbers in (worth, weight))
        values.append(float(((of[:, 1] - of[:, 0]) * chance[:, 0]).sum()))
    return np.array(values)


def per_seed(size: Size, name: str) -> Iterator[Judged]:
    for seed in range(1, size.seeds + 1):
        yield judged(name, seed, size.people)


def averages(size: Size, truth: str) -> dict[str, dict[str, float]]:
    """Mean accuracy over the seeds, by model and world."""
    return {
        model: {name: mean(getattr(one, truth)[model] for one in per_seed(size, name)) for name in WORLDS}
        for model in getattr(judged("biased", 1, size.people), truth)
    }


# -- What the measurement rests on ---------------------------------------------------------------------------------


def feeds_of(draw: Draw) -> Feeds:
    """Touches and claims as records, without dirt; event ids in the order of the draw."""
    visits, claims = draw.visits, draw.claims
    names = draw.world.channel_names
    return {
        "touchpoints": [
            {
                "event_id": f"{number:09}",
                "user_id": f"u{user}" if named else None,
                "anonymous_id": f"d{device}" if device >= 0 else None,
                "occurred_at": moment(time),
                "channel": names[channel],
            }
            for number, (user, named, device, channel, time) in enumerate(
                zip(visits.user, visits.named, visits.device, visits.channel, visits.time, strict=True)
            )
        ],
        "identities": [
            {
                "event_id": f"{number:09}",
                "anonymous_id": f"d{device}",
                "user_id": f"u{user}",
                "occurred_at": moment(time),
            }
            for number, (device, user, time) in enumerate(zip(claims.device, claims.user, claims.time, strict=True))
        ],
    }


def moment(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(milliseconds))


@pytest.mark.parametrize("scope", ["lookback", "since_previous_conversion"])
@pytest.mark.parametrize("days_ago", [0, 45])
def test_the_journeys_are_those_of_the_definitions(scope, days_ago):
    """Else the accuracy of all models is that of some other journeys; the oracle reads the draw as records."""
    draw = drawn(World(), 3, 60)
    as_of, policy = days_before(draw, days_ago), POLICY | {"attribution_journey_scope": scope}
    touches = journeys_oracle.touches_of(feeds_of(draw), moment(as_of))
    conversions = [
        Conversion(f"{row:09}", f"u{user}", moment(time), "signup", 0)
        for row, (user, time) in enumerate(zip(draw.conversions.user, draw.conversions.time, strict=True))
        if time <= as_of
    ]
    told = journeys_oracle.journeys_of(conversions, touches, policy)
    expected = paths_of(told, conversions, touches, moment(as_of), policy)
    found = journeys_of(draw, as_of=as_of, since=as_of - FIT_DAYS * DAY, cut=scope == "since_previous_conversion")
    users = len(draw.users)
    assert len(found) > 200
    assert sorted(
        (person, tuple(found.names[code] for code in found.channel[first:end]), conversion >= 0)
        for person, first, end, conversion in zip(
            [f"u{one}" if one < users else f"anon:d{one - users}" for one in found.person.tolist()],
            found.starts[:-1],
            found.starts[1:],
            found.conversion,
            strict=True,
        )
    ) == sorted((path.person_id, path.channels, path.revenue_cents is not None) for path in expected)


@pytest.mark.parametrize(("first", "last"), [(0.4, 0.4), (0.6, 0.0), (0.0, 0.0), (0.0, 1.0)])
@pytest.mark.parametrize("rule", RULES)
def test_the_rules_are_those_of_the_definitions(rule, first, last):
    draw = drawn(World(), 3, 25)
    journeys = journeys_of(draw).converting
    policy = POLICY | {"attribution_first_weight": first, "attribution_last_weight": last}
    credit = rule_credits(journeys, rule, first=first, last=last)
    for begin, end in zip(journeys.starts[:-1], journeys.starts[1:], strict=True):
        touches = [
            Touch("", "", moment(journeys.time[place]), journeys.names[journeys.channel[place]], "")
            for place in range(begin, end)
        ]
        expected = [float(share) for share in oracle.shares(rule, touches, policy)]
        assert credit[begin:end] == pytest.approx(expected, abs=1e-9)


def test_credit_by_weights_is_that_of_the_definitions():
    """A channel's share is split over its touches; unknown channels count as the least; all 0: linear."""
    journeys = journeys_of(drawn(World(), 3, 25)).converting
    names = sorted({journeys.names[code] for code in journeys.channel.tolist()})
    weights = {name: float(place % 4) for place, name in enumerate(names[1:])}
    credit = weighted_credits(journeys, weights)
    in_force = {"calibration_id": 1, "method": "shapley", "parameters": {}}
    policy = POLICY | {"calibration": in_force | {"weights": {name: int(value) for name, value in weights.items()}}}
    for begin, end in zip(journeys.starts[:-1], journeys.starts[1:], strict=True):
        touches = [Touch("", "", UNTIL, journeys.names[code], "") for code in journeys.channel[begin:end].tolist()]
        expected = [float(share) for share in oracle.shares("data_driven", touches, policy)]
        assert credit[begin:end] == pytest.approx(expected, abs=1e-12)


def test_the_values_of_both_worths_of_the_engine_are_those_of_the_engine():
    """Else the other worths would be held against another rate than the engine's."""
    counts = journeys_of(drawn(World(), 3, 300)).counts()
    subsets = count_subsets(counts)
    assert values_of("rate", counts) == pytest.approx(exact_shapley(subsets).values, abs=1e-12)
    assert values_of("conversions", counts) == pytest.approx(
        {channel: float(value) for channel, value in shapley_simple(subsets).items()}, rel=1e-12
    )


# -- Claims --------------------------------------------------------------------------------------------------------


def test_print_the_table(size):
    """The figures of the documentation, for whoever runs this with -s; each is a share."""
    for truth in ("causal", "survey"):
        print(f"\n{truth}: mean and standard deviation of {size.seeds} seeds, {size.people} people")
        for model in judged("biased", 1, size.people).causal:
            figures = [[getattr(one, truth)[model] for one in per_seed(size, name)] for name in WORLDS]
            print(f"| {model} | " + " | ".join(f"{mean(one):.3f} ± {stdev(one):.3f}" for one in figures) + " |")
            assert all(0 <= figure <= 1 for one in figures for figure in one)


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("fit", [*MARKOV.values(), "rate", "conversions"])
def test_credit_by_touch_is_nearer_to_the_truth_than_totals_by_channel(size, name, fit):
    """The totals do not know who was touched: a channel met by few has an effect like one met by all."""
    for one in per_seed(size, name):
        assert one.causal[fit] > one.causal[f"{fit}, totals"] + 0.02


def test_in_the_default_world_shapley_comes_nearest_to_what_people_say(size):
    """Nearer than Markov of any order, and than each rule with the policy's own parameters; in every seed."""
    for one in per_seed(size, "biased"):
        others = max(one.survey[model] for model in (*RULES, *MARKOV.values()))
        assert min(one.survey["rate"], one.survey["conversions"]) > others
    assert averages(size, "survey")["rate"]["biased"] > 0.90


def test_where_every_invited_person_begins_with_a_referral_the_first_touch_is_nearest_to_the_truth(size):
    """No virtue of first touch: without referrals and selection, it says far less than Shapley values do."""
    for name in ("biased", "unbiased"):
        for one in per_seed(size, name):
            assert one.causal["first_touch"] == max(one.causal.values())
    for one in per_seed(size, "unbiased, no referrals"):
        assert one.causal["rate"] > one.causal["first_touch"] + 0.05


def test_without_selection_and_referrals_the_worth_of_rates_is_nearer_than_rules_chains_and_counts(size):
    """Channels then differ in effect alone, which rates follow further than counts of conversions and chains do."""
    for one in per_seed(size, "unbiased, no referrals"):
        assert one.causal["rate"] > max(one.causal[model] for model in (*RULES, *MARKOV.values(), "conversions"))
    assert averages(size, "causal")["rate"]["unbiased, no referrals"] > 0.90


def test_selection_costs_the_worth_of_rates_most(size):
    """Whom a channel reaches raises its rate as an effect would, and those who return by name always convert."""
    causal = averages(size, "causal")
    cost = {
        model: causal[model]["unbiased, no referrals"] - causal[model]["biased, no referrals"]
        for model in ("rate", "conversions", *MARKOV.values())
    }
    assert max(cost, key=cost.__getitem__) == "rate"
    assert cost["rate"] > 0.15
    assert causal["conversions"]["biased, no referrals"] > causal["rate"]["biased, no referrals"]


def test_no_other_worth_is_nearer_than_rates_to_both_truths(size):
    """Over the four worlds, what gains on the causal shares loses on the survey; counts of conversions come as near."""
    causal, survey = (
        {model: mean(by_world.values()) for model, by_world in averages(size, truth).items()}
        for truth in ("causal", "survey")
    )
    for worth in WORTHS:
        assert min(causal[worth] - causal["rate"], survey[worth] - survey["rate"]) < 0.01, worth
    assert causal["rate over direct alone"] > causal["rate"]
    assert survey["rate over direct alone"] < survey["rate"] - 0.01


def test_surveys_and_experiments_lean_as_documented(size):
    """Everybody asked and tested, so that nothing is left to chance: slips of memory bias most, experiments least."""
    world = replace(World(), surveyed=1.0, experimented=1.0)
    for seed in range(1, size.seeds + 1):
        draw, honest = (drawn(one, seed, size.people) for one in (world, replace(world, survey_recall_error=0.0)))
        converting = journeys_of(draw, since=days_before(draw, FIT_DAYS)).converting
        truth = causal_shares(draw, converting)
        told, remembered, tested = (
            accuracy(answered(of, converting, method)[1], truth)
            for of, method in ((draw, SURVEY), (honest, SURVEY), (draw, EXPERIMENT))
        )
        assert 0.85 < told < remembered - 0.03
        assert remembered < tested
        assert tested > 0.96


def test_a_journey_across_conversions_credits_what_led_to_the_first_again(size):
    """Nobody is referred into a trial, yet half of its credit goes to the referral that brought the person.

    With the default scope, the touches that led to a sign-up stand in the journey of the trial too.
    """
    for seed in range(1, size.seeds + 1):
        draw = drawn(World(), seed, size.people)
        paths = journeys_of(draw, since=days_before(draw, FIT_DAYS))
        converting, weights = paths.converting, fits(paths)["rate"]
        kinds = draw.conversions.kind[converting.conversion]
        for kind, least, most in ((SIGNUP, -0.3, -0.1), (TRIAL, 0.4, 0.7)):
            of = converting.take(kinds == kind)
            credited = of.shares(weighted_credits(of, weights))["referral"]
            assert least < credited - causal_shares(draw, of)["referral"] < most


# -- Effects that change -------------------------------------------------------------------------------------------


def before_and_since(world: World, seed: int, people: int) -> dict[tuple[str, str], float]:
    """Causal accuracy over the last 22 days, of weights fitted up to day 45 before the end, and from it to day 22."""
    draw = drawn(world, seed, people)
    change, late = days_before(draw, 45), days_before(draw, 22)
    judged_on = journeys_of(draw, since=late).converting
    truth = causal_shares(draw, judged_on)
    fitted = {
        "before": journeys_of(draw, as_of=change, since=change - FIT_DAYS * DAY),
        "since": journeys_of(draw, as_of=late, since=change),
    }
    return {
        (fit, when): accuracy(judged_on.shares(weighted_credits(judged_on, weights)), truth)
        for when, paths in fitted.items()
        for fit, weights in fits(paths).items()
    }


def test_when_effects_change_rates_follow(size):
    """Fitted anew, rates come back, while counts and chains move half as far or less.

    What those measure is above all how often a channel is met. So rates are the worth to use, near as the others may
    come elsewhere.
    """
    for seed in range(1, size.seeds + 1):
        found = before_and_since(replace(STEADY, effect_changes=(SWAP,)), seed, size.people)
        gain = {fit: found[fit, "since"] - found[fit, "before"] for fit in ("rate", "conversions", *MARKOV.values())}
        assert gain["rate"] > 0.10
        assert gain["rate"] > 2 * max(gain[fit] for fit in ("conversions", *MARKOV.values()))


def test_when_nothing_changes_older_weights_are_as_good(size):
    """Else what follows the change in the test above would follow the calendar."""
    moved = [
        found["rate", "since"] - found["rate", "before"]
        for found in (before_and_since(STEADY, seed, size.people) for seed in range(1, size.seeds + 1))
    ]
    assert abs(mean(moved)) < 0.02
    assert max(abs(one) for one in moved) < 0.05
