"""Small sets of journeys for the tests of the attribution fits, drawn or given."""

from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st

from orchestration.attribution.paths import PathCount

Journey = tuple[tuple[str, ...], int, int]
"""Channels first to last, journeys that converted, journeys that did not: what the oracles read."""

DRAWN = settings(deadline=None)
"""A machine that is busy with something else is no failure."""
CHANNELS = ("direct", "email", "search", "social", "video")
COUNTS = st.one_of(st.integers(0, 3), st.integers(0, 5000))
PATHS = st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=7).map(tuple)
JOURNEYS: st.SearchStrategy[list[Journey]] = st.lists(st.tuples(PATHS, COUNTS, COUNTS), max_size=10)


def counted(journeys: Iterable[Journey], cents: int = 0) -> list[PathCount]:
    """The same as the engine reads them; cents: revenue of each conversion."""
    return [PathCount(channels, converted, lost, converted * cents) for channels, converted, lost in journeys]
