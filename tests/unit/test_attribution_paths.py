"""What the transforms make of a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.attribution.paths import (
    TRANSFORMS,
    PathCount,
    exposure,
    first,
    frequency,
    last_steps,
    remove_if_last_and_not_all,
    remove_if_not_all,
    transformed,
    unique,
)
from tests.unit.journeys import DRAWN, JOURNEYS, PATHS, counted

PATH = tuple("DABBCDCC")


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (unique, tuple("DABBCDCC")),
        (exposure, tuple("DABCDC")),
        (first, tuple("DABC")),
        (frequency, ("D(2)", "A(1)", "B(2)", "C(3)")),
    ],
)
def test_transforms_mean_what_they_mean_elsewhere(transform, expected):
    """The example of fractribution and of Snowplow's package: under the same name, another path would mislead."""
    assert transform(PATH) == transform(list(PATH)) == expected
    assert transform(()) == ()


@pytest.mark.parametrize(
    ("path", "without_last", "without_any"),
    [
        ("DABBCDCC", "DABBCD", "DABBD"),
        ("CCA", "CCA", "A"),
        ("AC", "A", "A"),
        ("CC", "CC", "CC"),
        ("C", "C", "C"),
        ("AB", "AB", "AB"),
        ("", "", ""),
    ],
)
def test_a_channel_is_removed_unless_nothing_would_be_left(path, without_last, without_any):
    assert remove_if_last_and_not_all(tuple(path), "C") == tuple(without_last)
    assert remove_if_not_all(tuple(path), "C") == tuple(without_any)


@DRAWN
@given(PATHS)
def test_without_direct_at_its_end_a_path_ends_where_last_non_direct_gives_its_credit(path):
    others = [channel for channel in path if channel != "direct"]
    assert remove_if_last_and_not_all(path, "direct")[-1] == (others[-1] if others else "direct")


@pytest.mark.parametrize(
    ("steps", "expected"), [(0, "DABBCDCC"), (1, "C"), (3, "DCC"), (8, "DABBCDCC"), (99, "DABBCDCC")]
)
def test_the_last_steps_are_kept_and_zero_keeps_all(steps, expected):
    assert last_steps(PATH, steps) == tuple(expected)


def test_fewer_than_no_steps_are_refused():
    with pytest.raises(ValueError, match="-1 steps"):
        last_steps(PATH, -1)


@DRAWN
@given(PATHS, st.sampled_from(sorted(TRANSFORMS)))
def test_a_transform_done_twice_is_done_once(path, name):
    """Counts are the exception: D(2) becomes D(2)(1)."""
    if name != "frequency":
        once = TRANSFORMS[name](path)
        assert TRANSFORMS[name](once) == once


@DRAWN
@given(JOURNEYS, st.sampled_from(sorted(TRANSFORMS)))
def test_transforms_lose_no_journey_and_no_cent(journeys, name):
    paths = counted(journeys, cents=7)
    after = transformed(paths, lambda path: remove_if_not_all(path, "direct"), TRANSFORMS[name])
    for number in ("conversions", "nulls", "revenue_cents"):
        assert sum(getattr(path, number) for path in after) == sum(getattr(path, number) for path in paths)
    assert len({path.channels for path in after}) == len(after)


def test_transforms_are_done_in_the_order_given():
    """Direct between two others parts them: removed after the repeats were collapsed, it leaves a repeat."""
    paths = [PathCount(("email", "direct", "email"), conversions=1, revenue_cents=5), PathCount(("email",), nulls=2)]

    def drop(path):
        return remove_if_not_all(path, "direct")

    assert transformed(paths, drop, exposure) == [PathCount(("email",), 1, 2, 5)]
    assert [path.channels for path in transformed(paths, exposure, drop)] == [("email", "email"), ("email",)]


@pytest.mark.parametrize("number", ["conversions", "nulls", "revenue_cents"])
def test_a_negative_number_is_refused(number):
    with pytest.raises(ValueError, match="below 0"):
        PathCount(("email",), **{number: -1})
