"""Draw a world and write it down as feed files and truth.json."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from orchestration.simulate.calendar import Span
from orchestration.simulate.dirt import spoil
from orchestration.simulate.draw import draw_world
from orchestration.simulate.feeds import feeds_of
from orchestration.simulate.streams import Streams
from orchestration.simulate.truth import truth_of
from orchestration.simulate.world import World
from orchestration.simulate.writing import write_json, write_lines

DEFAULT_PEOPLE = 5_000
DEFAULT_DAYS = 91
DEFAULT_SEED = 1

Progress = Callable[[str], None]
"""Told in a few words what was just done."""


@dataclass(frozen=True)
class Summary:
    """What a simulation wrote. lines: per feed, dirt included; records: per feed, the good ones; k: realised in
    the latest 28 mature cohorts (None without any)."""

    out: Path
    seed_users: int
    users: int
    lines: dict[str, int]
    records: dict[str, int]
    files: tuple[Path, ...]
    truth: Path
    k: float | None


def _silent(message: str) -> None:
    """The progress of those who do not ask for it."""


def simulate(
    out: Path,
    *,
    people: int,
    days: int,
    seed: int,
    until: datetime,
    world: World | None = None,
    progress: Progress = _silent,
) -> Summary:
    """Draw a world and write its feed files to out/<feed>/ and its truth to out/truth.json.

    people: seed users; days: length of the period asked for, before which World.history_days are drawn
    too; until: its end (with a time zone). The same arguments give the same bytes; files of the same
    name are replaced. Raises ValueError for people or days below 1, or a time without a zone.
    """
    if people < 1 or days < 1:
        raise ValueError(f"people and days: found {people} and {days}, expected at least 1 of each")
    world = world or World()
    streams, span = Streams(seed), Span.of(world, days, until)
    draw = draw_world(world, streams, span, people)
    progress(f"drew {len(draw.users):,} users and {len(draw.visits):,} touches")
    counts: dict[str, dict[str, int]] = {}
    files: list[Path] = []
    for feed in feeds_of(draw):
        lines = spoil(feed, world.dirt, streams(f"dirt/{feed.name}"), span, world.file_days)
        files += write_lines(out, lines, span, world.file_days)
        counts[feed.name] = lines.counts
        progress(f"wrote {feed.name}: {lines.counts['lines']:,} lines")
    truth = truth_of(draw, counts, [path.relative_to(out).as_posix() for path in files])
    path = out / "truth.json"
    write_json(path, truth)
    return Summary(
        out=out,
        seed_users=truth["people"]["seed_users"],
        users=len(draw.users),
        lines={name: found["lines"] for name, found in counts.items()},
        records={name: found["records"] for name, found in counts.items()},
        files=tuple(files),
        truth=path,
        k=truth["viral"]["realised_k_latest_28_mature"],
    )
