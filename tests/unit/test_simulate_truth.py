"""The truth of a simulated world adds up, follows its parameters, and can be counted again from the files."""

import json
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from orchestration.simulate import World, simulate
from orchestration.simulate.calendar import Span
from orchestration.simulate.columns import NEVER
from orchestration.simulate.draw import Draw, draw_world
from orchestration.simulate.journeys import NOBODY, Touches, resolve
from orchestration.simulate.streams import Streams
from orchestration.simulate.truth import causal_truth, lost_without, viral_truth
from orchestration.simulate.world import EffectChange, SpreadChange
from tests.unit.simulated import Record, good, newest, time_of

UNTIL = datetime(2026, 3, 31, tzinfo=UTC)
HORIZON = timedelta(days=30)
HONEST = replace(World(), rings=0.0, fake_accounts=0.0)


def draw(world: World, *, seed: int = 1, people: int = 300, days: int = 60) -> Draw:
    return draw_world(world, Streams(seed), Span.of(world, days, UNTIL), people)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("honest")
    simulate(out, people=400, days=60, seed=5, until=UNTIL, world=HONEST)
    return out


@pytest.fixture(scope="module")
def default() -> Draw:
    return draw(World(), people=800)


def inviters(out: Path) -> dict[object, object]:
    """user_id -> who brought them: by the invite that the user names, else by the last one to the address."""
    sends = [record for record in good(out, "viral_actions") if record["action_type"] == "invite_sent"]
    actor_of = {send["invite_id"]: send["actor_id"] for send in sends if "invite_id" in send}
    sent_to: dict[str, list[Record]] = defaultdict(list)
    for send in sorted(sends, key=lambda one: str(one["occurred_at"])):
        sent_to[str(send["recipient_email"]).strip().lower()].append(send)
    found = {}
    for user in newest(out, "users"):
        joined = time_of(user["signed_up_at"])
        if user.get("invite_id") in actor_of:
            found[user["user_id"]] = actor_of[user["invite_id"]]
            continue
        for send in sent_to[str(user["email"])]:
            if send["actor_id"] != user["user_id"] and joined - HORIZON <= time_of(send["occurred_at"]) < joined:
                found[user["user_id"]] = send["actor_id"]
    return found


def test_k_of_each_cohort_can_be_counted_again_from_the_files(honest):
    joined = {user["user_id"]: time_of(user["signed_up_at"]) for user in newest(honest, "users")}
    joins = Counter(
        joined[inviter].date().isoformat()
        for user, inviter in inviters(honest).items()
        if joined[user] - joined[inviter] <= HORIZON
    )
    members = Counter(moment.date().isoformat() for moment in joined.values())
    cohorts = json.loads((honest / "truth.json").read_text())["viral"]["by_cohort"]
    assert sum(cohort["joins_within_horizon"] for cohort in cohorts) > 300
    for cohort in cohorts:
        counted = members[cohort["cohort_on"]], joins[cohort["cohort_on"]]
        assert counted == (cohort["users"], cohort["joins_within_horizon"]), cohort["cohort_on"]


@pytest.mark.parametrize("k", [0.3, 0.8, 1.3])
def test_realised_k_is_k_in_the_mean(k):
    """Pooled over draws (one draw of heavy-tailed inviters says little): within 4 standard errors."""
    world = replace(World(), k=k, programme_days=None)
    joins = users = 0
    for seed in range(30):
        for cohort in viral_truth(draw(world, seed=seed, people=60, days=1))["by_cohort"]:
            joins += cohort["joins_within_horizon"] * cohort["mature"]
            users += cohort["users"] * cohort["mature"]
    variance_of_joins = k + 2.7 * k**2
    assert joins / users == pytest.approx(k, abs=4 * (variance_of_joins / users) ** 0.5)


def test_a_few_people_carry_much_of_k(default):
    """Heavy tail: with Poisson counts of this mean the top 1 % of users would hold below 5 % of joins."""
    brought = np.bincount(default.users.inviter[default.users.inviter != NOBODY], minlength=len(default.users))
    top = np.sort(brought)[::-1][: len(brought) // 100]
    assert top.sum() / brought.sum() > 0.10
    assert brought.max() >= 10


def test_spread_that_collapses_halfway_shows_in_the_cohorts_after_it():
    world = replace(World(), k=1.0, programme_days=None, spread_changes=(SpreadChange(60, 0.25),))
    cohorts = viral_truth(draw(world, people=1_500, days=60))["by_cohort"]
    before, after = (
        [one for one in cohorts if one["mature"] and first <= one["cohort_on"] < end]
        for first, end in (("2025-11-01", "2025-12-25"), ("2026-01-30", "2026-03-01"))
    )
    k_before, k_after = (
        sum(one["joins_within_horizon"] for one in part) / sum(one["users"] for one in part) for part in (before, after)
    )
    assert k_before > 0.8
    assert k_after < 0.4


def test_without_a_channel_exactly_the_conversions_that_it_alone_caused_are_lost():
    """Switching off for good, all draws unchanged, against the shortcut that truth.json rests on."""
    rng, world, people, count = np.random.default_rng(3), World(), 2_000, 6_000
    touches = Touches(
        owner=rng.integers(people, size=count),
        time=rng.integers(0, 10**9, count),
        channel=rng.integers(len(world.channels), size=count),
        campaign=np.full(count, NOBODY),
        persuades=rng.random(count) * 0.3,
        delay=rng.integers(0, 10**7, count),
    )
    own_time = np.where(rng.random(people) < 0.2, rng.integers(0, 10**9, people), NEVER)
    outcome = resolve(world, touches, own_time, until=10**9)
    for code in range(len(world.channels)):
        without = resolve(world, touches, own_time, until=10**9, off=code)
        lost = (outcome.time != NEVER) & (without.time == NEVER)
        assert np.array_equal(lost, (outcome.sole == code))
    assert np.isin(outcome.trigger[outcome.sole != NOBODY], range(len(world.channels))).all()


def test_causal_truth_adds_up(default):
    everything = np.ones(len(default.conversions), dtype=bool)
    truth = causal_truth(default, everything)
    for shares in ("share", "trigger_share", "cascade_share"):
        assert sum(truth[shares].values()) == pytest.approx(1)
    assert sum(truth["lost"].values()) <= truth["conversions"] - truth["own_accord"]
    assert all(truth["cascade_lost"][name] >= lost for name, lost in truth["lost"].items())
    assert truth["lost"]["direct"] == 0, "nobody is persuaded by typing an address"
    kinds = [causal_truth(default, default.conversions.kind == kind)["lost"] for kind in range(4)]
    assert {name: sum(lost[name] for lost in kinds) for name in truth["lost"]} == truth["lost"]


def test_whoever_is_lost_takes_along_all_that_came_after(default):
    """A trial needs its sign-up, a renewal its subscription, and an invited friend the one who invited."""
    users, conversions = default.users, default.conversions
    lost = lost_without(default, default.world.code("paid_search"))
    follows = np.flatnonzero(conversions.before != NOBODY)
    assert lost[follows[lost[conversions.before[follows]]]].all()
    invited = np.flatnonzero((users.inviter != NOBODY) & ~users.anyway)
    assert lost[invited[lost[users.inviter[invited]]]].all()
    others = np.setdiff1d(np.flatnonzero(lost), np.flatnonzero(conversions.sole == default.world.code("paid_search")))
    caused = np.where(
        conversions.before[others] != NOBODY, conversions.before[others], users.inviter[others % len(users)]
    )
    assert lost[caused].all()
    assert len(others) > 50


def test_causal_shares_follow_the_effects_from_the_day_they_change():
    change = EffectChange(60, {"paid_search": 0.0, "display": 0.2})
    world = replace(World(), k=0.0, effect_changes=(change,))
    found = draw(world, people=3_000, days=60)
    middle = found.span.until - 60 * 86_400_000
    before, after = (
        causal_truth(found, (found.conversions.kind == 0) & (found.conversions.time >= middle) == late)["share"]
        for late in (False, True)
    )
    assert before["paid_search"] > 0.2
    assert after["paid_search"] < 0.05
    assert before["display"] < 0.05
    assert after["display"] > 0.15


def test_selection_bias_brings_touches_that_cause_nothing_near_conversions():
    """What makes last-touch wrong: with bias, direct and branded search come last far more often."""

    def inert_last(world: World) -> float:
        found = draw(world, people=1_500)
        prospects = found.prospects
        signed_up = np.flatnonzero(prospects.outcome.time != NEVER)
        order = np.lexsort((prospects.touches.time, prospects.touches.owner))
        last = order[np.searchsorted(prospects.touches.owner[order], signed_up, side="right") - 1]
        inert = [world.code(name) for name in ("direct", "branded_search", "retargeting")]
        return float(np.isin(prospects.touches.channel[last], inert).mean())

    assert inert_last(World()) > 1.5 * inert_last(World().unbiased())


def test_survey_names_what_triggered_and_the_experiment_what_was_needed(default):
    answers, conversions = default.answers, default.conversions
    asked = answers.take(answers.method == 0)
    triggered = np.maximum(conversions.trigger[asked.conversion], NOBODY)
    agreed = (asked.channel == triggered).mean()
    assert 1 - default.world.survey_recall_error - 0.05 < agreed < 1
    tested = answers.take(answers.method == 1)
    assert np.array_equal(tested.channel, conversions.sole[tested.conversion])
    share = len(asked) / len(conversions)
    assert share == pytest.approx(default.world.surveyed, rel=0.25)
