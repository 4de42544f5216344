"""[pure] Paths of channels, and what may be done to them before a fit.

The transforms bear the names and meanings that google/fractribution and Snowplow's attribution package gave them;
there, too, a path is cut to its last steps before anything else is done to it. Examples: of [D, A, B, B, C, D, C, C].
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

Path = tuple[str, ...]
"""Channels in the order of touch, first to last."""
Transform = Callable[[Sequence[str]], Path]


@dataclass(frozen=True)
class PathCount:
    """How many journeys took one path, and how they ended.

    conversions, nulls: journeys that ended in one, or in none; revenue_cents: of all these conversions together.
    Raises ValueError for a number below 0.
    """

    channels: Path
    conversions: int = 0
    nulls: int = 0
    revenue_cents: int = 0

    def __post_init__(self) -> None:
        if min(self.conversions, self.nulls, self.revenue_cents) < 0:
            raise ValueError(f"path {self.channels}: a number of journeys or cents is below 0")


def unique(path: Sequence[str]) -> Path:
    """The path as it is, repeats and all."""
    return tuple(path)


def exposure(path: Sequence[str]) -> Path:
    """Repeats in a row become one: [D, A, B, C, D, C]."""
    return tuple(channel for channel, _ in groupby(path))


def first(path: Sequence[str]) -> Path:
    """Each channel where it first occurs, no more: [D, A, B, C]."""
    return tuple(dict.fromkeys(path))


def frequency(path: Sequence[str]) -> Path:
    """Each channel where it first occurs, with how often it does in all: [D(2), A(1), B(2), C(3)].

    B(1) and B(2) are two channels to a fit.
    """
    path = tuple(path)
    return tuple(f"{channel}({path.count(channel)})" for channel in dict.fromkeys(path))


def remove_if_last_and_not_all(path: Sequence[str], channel: str) -> Path:
    """Without the channel's touches at the very end; as it is when there are no others.

    Of C, [D, A, B, B, C, D]. Of direct, it leaves the last non-direct touch in last place.
    """
    last = max((position for position, touched in enumerate(path) if touched != channel), default=len(path) - 1)
    return tuple(path[: last + 1])


def remove_if_not_all(path: Sequence[str], channel: str) -> Path:
    """Without any of the channel's touches; as it is when there are no others. Of C, [D, A, B, B, D]."""
    return tuple(touched for touched in path if touched != channel) or tuple(path)


def last_steps(path: Sequence[str], steps: int) -> Path:
    """The last `steps` touches, all when there are fewer, and all when steps is 0. Raises ValueError below 0."""
    if steps < 0:
        raise ValueError(f"{steps} steps: expected 0 (all) or more")
    return tuple(path[-steps:]) if steps else tuple(path)


TRANSFORMS: dict[str, Transform] = {
    "unique": unique,
    "exposure": exposure,
    "first": first,
    "frequency": frequency,
}
"""Those that need nothing but a path, by name."""


def transformed(paths: Iterable[PathCount], *transforms: Transform) -> list[PathCount]:
    """The paths after these transforms, in this order; those that become the same are counted together.

    In the order in which each first comes up. No journey, conversion or cent is lost.
    """
    sums: dict[Path, list[int]] = defaultdict(lambda: [0, 0, 0])
    for path in paths:
        channels = path.channels
        for transform in transforms:
            channels = transform(channels)
        numbers = sums[tuple(channels)]
        for place, number in enumerate((path.conversions, path.nulls, path.revenue_cents)):
            numbers[place] += number
    return [PathCount(channels, *numbers) for channels, numbers in sums.items()]
