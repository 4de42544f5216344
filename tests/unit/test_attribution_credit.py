"""Credit of a calibration, as it is judged, held against the oracle's exact shares."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.attribution.credit import Journeys, Parameters, channel_shares, credited
from tests.oracles import credits as oracle
from tests.oracles.journeys import Touch
from tests.unit.journeys import CHANNELS, DRAWN

END = datetime(2026, 3, 1, tzinfo=UTC)
TOUCHES = st.lists(st.tuples(st.sampled_from(CHANNELS), st.integers(0, 30 * 24)), min_size=1, max_size=7)
WEIGHTS = st.dictionaries(st.sampled_from(CHANNELS), st.sampled_from([0, 1, 250_000, 999_999]), min_size=1)
OUTER = st.sampled_from([("0.4", "0.4"), ("0", "0"), ("0.6", "0"), ("0", "1"), ("0.3", "0.7")])


def drawn_parameters() -> st.SearchStrategy[tuple[Parameters, dict]]:
    """Parameters, and the calibration that the oracle is to understand by them."""

    def weighted(weights: dict[str, int]) -> tuple[Parameters, dict]:
        return Parameters("shapley", weights), {"method": "shapley", "parameters": {}, "weights": weights}

    def decaying(days: str) -> tuple[Parameters, dict]:
        stored = {"method": "time_decay", "parameters": {"half_life_days": days}, "weights": {}}
        return Parameters("time_decay", half_life_days=float(days)), stored

    def positioned(outer: tuple[str, str]) -> tuple[Parameters, dict]:
        first, last = outer
        stored = {"first_weight": first, "last_weight": last}
        return Parameters("position_based", first_weight=float(first), last_weight=float(last)), {
            "method": "position_based",
            "parameters": stored,
            "weights": {},
        }

    return st.one_of(WEIGHTS.map(weighted), st.sampled_from(["0.5", "7", "30"]).map(decaying), OUTER.map(positioned))


@DRAWN
@given(st.lists(TOUCHES, min_size=1, max_size=5), drawn_parameters())
def test_credit_by_channel_is_the_oracles(drawn: list[list[tuple[str, int]]], parameters: tuple[Parameters, dict]):
    """Prevents a recalibration that judges by other credit than the one people are paid by."""
    given_by, stored = parameters
    journeys = [sorted(touches, key=lambda touch: -touch[1]) for touches in drawn]
    found = credited(given_by, as_arrays(journeys))
    for row, journey in zip(found, journeys, strict=True):
        touches = [
            Touch(str(place), "ann", END - timedelta(hours=hours), channel, "(none)")
            for place, (channel, hours) in enumerate(journey)
        ]
        shares = oracle.shares("data_driven", touches, {"calibration": {"calibration_id": 1, **stored}})
        expected = dict.fromkeys(CHANNELS, 0.0)
        for touch, share in zip(touches, shares, strict=True):
            expected[touch.channel] += float(share)
        assert dict(zip(CHANNELS, row, strict=True)) == pytest.approx(expected, abs=1e-12)


def as_arrays(journeys: list[list[tuple[str, int]]]) -> Journeys:
    """Journeys of (channel, hours before END), first to last."""
    touches = [(channel, (hours - journey[-1][1]) / 24) for journey in journeys for channel, hours in journey]
    lengths = [len(journey) for journey in journeys]
    return Journeys(
        channels=tuple(CHANNELS),
        starts=np.cumsum([0, *lengths])[:-1],
        channel=np.array([CHANNELS.index(channel) for channel, _ in touches]),
        days_before=np.array([days for _, days in touches]),
    )


def test_no_journeys_at_all():
    empty = Journeys(("email",), np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0))
    assert credited(Parameters("time_decay", half_life_days=7), empty).shape == (0, 1)


def test_a_set_of_channels_without_weight_is_shared_evenly():
    shares = channel_shares(
        {"a": 0, "b": 0, "c": 5}, ("a", "b", "c", "never seen"), np.array([[1, 1, 0, 0], [1, 0, 1, 1]])
    )
    assert shares.tolist() == [[0.5, 0.5, 0, 0], [0, 0, 1, 0]]


def test_parameters_are_named_as_people_say_them():
    assert Parameters("markov", {"a": 1}, markov_order=2).name == "markov, order 2"
    assert Parameters("time_decay", half_life_days=0.5).name == "time_decay, half-life 0.5 days"
    assert Parameters("policy", first_weight=0.4, last_weight=0.4).name == "policy, 0.4 first, 0.4 last"
    assert Parameters("shapley", {"a": 1}).name == "shapley"
