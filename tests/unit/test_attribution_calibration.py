"""A recalibration chooses on one part, judges on another, and does not take luck for skill."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from orchestration.attribution.calibration import (
    REPLICATES,
    candidates,
    choose,
    millionths,
    plain_accuracy,
    weight_replicates,
)
from orchestration.attribution.credit import MILLION, Parameters
from orchestration.attribution.paths import PathCount
from orchestration.attribution.truth import Truth

START = datetime(2026, 3, 1, tzinfo=UTC)
CHANNELS = ("direct", "email", "search", "video")
PRESENT = Parameters("policy", first_weight=0.4, last_weight=0.4)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def truth(count: int, seed: int, *, cause: str) -> Truth:
    """Journeys of 1 to 4 touches, of which the first or the last, at random a day or more apart, was the cause."""
    random = rng(seed)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        channels = random.choice(CHANNELS, size=random.integers(1, 5)).tolist()
        true = {"first": channels[0], "last": channels[-1], "any": random.choice(channels)}[cause]
        rows += [
            {
                "conversion_id": f"c{number}",
                "person_id": f"p{number // 2}",
                "true_channel": true,
                "converted_on": (START + timedelta(days=9)).date(),
                "touched_at": START + timedelta(days=2 * position),
                "touch_position": position + 1,
                "channel": channel,
            }
            for position, channel in enumerate(channels)
        ]
    return Truth.of(rows)


def paths() -> list[PathCount]:
    return [
        PathCount(("email", "video"), 30, 10),
        PathCount(("search", "direct"), 10, 60),
        PathCount(("video",), 5, 40),
        PathCount(("direct", "email", "direct"), 20, 20),
    ]


def test_every_method_and_order_is_tried():
    tried = candidates(paths(), rng())
    assert [one.markov_order for one in tried if one.method == "markov"] == [1, 2, 3, 4]
    assert {one.method for one in tried} == {"markov", "shapley", "time_decay", "position_based"}
    assert all(sum(one.weights.values()) == MILLION for one in tried if one.weights)
    assert len({(one.first_weight, one.last_weight) for one in tried if one.method == "position_based"}) == 66
    assert all(one.weights for one in tried if one.method in ("markov", "shapley"))


def test_nothing_to_fit_leaves_the_methods_that_need_no_fit():
    assert {one.method for one in candidates([], rng())} == {"time_decay", "position_based"}


@pytest.mark.parametrize(("cause", "first", "last"), [("first", 1.0, 0.0), ("last", 0.0, 1.0)])
def test_what_is_true_is_found_and_beats_the_one_in_force(cause: str, first: float, last: float):
    """Prevents a search that stops beside the answer, and a judge that sees no difference where there is one."""
    # Positions that give all to one end tie on balanced channels: the truth must be lopsided to tell them apart.
    known, later = lopsided(2_000, 1, cause), lopsided(2_000, 2, cause)
    found = choose(candidates(paths(), rng()), PRESENT, known, later, rng(), confidence=0.99)
    assert (found.chosen.method, found.chosen.first_weight, found.chosen.last_weight) == ("position_based", first, last)
    assert found.is_better
    assert found.candidate.accuracy > found.present.accuracy
    assert found.scored[0].accuracy == max(one.accuracy for one in found.scored)


def lopsided(count: int, seed: int, cause: str) -> Truth:
    """As `truth`, but journeys begin with email and end with direct more often."""
    random = rng(seed)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        middle = random.choice(CHANNELS, size=random.integers(0, 3)).tolist()
        opening = random.choice(["email", "video"], p=[0.9, 0.1])
        channels = [opening, *middle, random.choice(["direct", "search"], p=[0.8, 0.2])]
        rows += [
            {
                "conversion_id": f"c{number}",
                "person_id": f"p{number}",
                "true_channel": channels[0] if cause == "first" else channels[-1],
                "converted_on": START.date(),
                "touched_at": START + timedelta(days=2 * position),
                "touch_position": position + 1,
                "channel": channel,
            }
            for position, channel in enumerate(channels)
        ]
    return Truth.of(rows)


def test_what_was_promoted_is_not_promoted_again():
    """Prevents a calibration a day, none better than the last."""
    known, later = lopsided(1_000, 3, "first"), lopsided(1_000, 4, "first")
    tried = candidates(paths(), rng())
    first = choose(tried, PRESENT, known, later, rng(), confidence=0.99)
    again = choose(tried, first.chosen, known, later, rng(), confidence=0.99)
    assert first.is_better
    assert not again.is_better
    assert again.difference.difference == 0


@pytest.mark.parametrize("seeds", [range(6), pytest.param(range(6, 40), marks=pytest.mark.soak)])
def test_where_nothing_is_better_nothing_is_promoted(seeds: range):
    """Prevents promotions by luck: any touch was the cause, so that all models are right in sum."""
    tried = candidates(paths(), rng())
    promoted = [
        choose(
            tried, PRESENT, truth(800, seed, cause="any"), truth(800, 100 + seed, cause="any"), rng(), confidence=0.99
        ).is_better
        for seed in seeds
    ]
    assert sum(promoted) <= 1


def test_the_plain_figure_needs_something_to_judge():
    with pytest.raises(ValueError, match="nothing to choose by"):
        plain_accuracy(np.zeros((0, 2)), np.zeros(0, dtype=int))


def test_millionths_add_up_and_all_zero_stays_so():
    assert sum(millionths({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}).values()) == MILLION
    assert millionths({"b": 0.0, "a": 0.0}) == {"a": 0, "b": 0}


@pytest.mark.parametrize(
    "parameters", [Parameters("markov", {"x": 1}, markov_order=2), Parameters("shapley", {"x": 1})]
)
def test_weights_are_fitted_again_to_resampled_persons(parameters: Parameters):
    """Prevents weights that are taken for certain: their noise is that of the persons they were fitted to."""
    groups = {
        group: [PathCount(path.channels, path.conversions % (group + 2), path.nulls) for path in paths()]
        for group in range(8)
    }
    found = weight_replicates(parameters, groups, rng())
    assert len(found) == REPLICATES
    assert all(sum(one.values()) == MILLION for one in found)
    assert len({tuple(one.items()) for one in found}) > REPLICATES / 2
    assert weight_replicates(parameters, groups, rng()) == found


def test_rules_have_no_weights_to_fit_again():
    assert weight_replicates(Parameters("time_decay", half_life_days=7), {0: paths()}, rng()) == []


def test_truth_without_a_touch_or_a_channel_is_counted_and_left_out():
    def row(conversion: str, true: str, position: int | None) -> dict[str, Any]:
        return {
            "conversion_id": conversion,
            "person_id": "p",
            "true_channel": true,
            "converted_on": START.date(),
            "touched_at": START if position else None,
            "touch_position": position,
            "channel": "email",
        }

    found = Truth.of([row("a", "email", 1), row("b", "none", 1), row("b", "none", 2), row("c", "video", None)])
    assert (len(found), found.of_none, found.without_touch) == (1, 1, 1)
    assert found.journeys.channels == ("email",)
    elsewhere = found.between(START.date() + timedelta(days=1), START.date() + timedelta(days=2))
    assert (len(elsewhere), elsewhere.of_none, elsewhere.without_touch) == (0, 0, 0)
