"""kill -9 at any instant of ingest, build and publication: starting again gives what an undisturbed run gives.

Each chain brings the world in three arrivals and is killed three times: within a load, within a build, within a
publication, at seeded random instants.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.end_to_end.site import Site, kill

INGEST_AND_BUILD = "marketing ingest && marketing build"
LOADING = "select from pg_stat_activity where datname = current_database() and application_name = 'marketing ingest'"
BUILDING = "select from ops.builds where status = 'running'"
PUBLISHING = (
    "select from pg_stat_activity where datname = current_database() and application_name = 'marketing publication'"
)
# Phase: the sign that it has begun, and the seconds from there within which the kill comes: about as long as it lasts.
PHASES = {"load": (LOADING, 1.5), "build": (BUILDING, 8.0), "publication": (PUBLISHING, 0.4)}
ROUNDS_OF_SOAK = 10


@pytest.fixture(scope="module")
def undisturbed(new_site, world) -> Site:
    """Everything at once, in one full build that nothing disturbed."""
    site = new_site()
    site.land(world)
    site.run("sh", "-c", INGEST_AND_BUILD)
    return site


def arrivals(world: list[Path]) -> list[list[Path]]:
    """The world's files in three parts, by the day in their names."""
    days = sorted({file.name for file in world})
    third = -(-len(days) // 3)
    parts = [days[start : start + third] for start in range(0, len(days), third)]
    return [[file for file in world if file.name in part] for part in parts]


def kill_within(site: Site, sign: str, seconds: float) -> bool:
    """Ingest and build, and kill all of it that long after the sign; whether it was still running."""
    with site.connect() as connection:
        process = site.start("sh", "-c", INGEST_AND_BUILD)
        wait_for(lambda: connection.execute(sign).fetchone() is not None or process.poll() is not None, connection)
        time.sleep(seconds)
        return kill(process)


def wait_for(condition: Callable[[], bool], connection: psycopg.Connection, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the phase to be killed in never came"
        time.sleep(0.005)


def survive_three_kills(new_site, undisturbed: Site, world: list[Path], seed: int) -> None:
    instants = random.Random(seed)
    site = new_site(like=undisturbed)
    parts = arrivals(world)
    assert len(parts) == len(PHASES)
    hits = []
    for part, (sign, lasts) in zip(parts, PHASES.values(), strict=True):
        site.land(part)
        hits.append(kill_within(site, sign, instants.uniform(0, lasts)))
    # A publication may be over sooner than its killer comes; a load and a build are not.
    assert hits[:2] == [True, True]
    site.run("sh", "-c", INGEST_AND_BUILD)
    assert site.contents() == undisturbed.contents()
    with site.connect() as connection:
        assert connection.execute("select count(*) from ops.builds where status = 'running'").fetchone() == (0,)
    assert not [path for path in (site.home / "landing").glob("[!.]*/*") if path.is_file()]


def test_three_kills_leave_no_trace(new_site, undisturbed, world):
    survive_three_kills(new_site, undisturbed, world, seed=0)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(1, ROUNDS_OF_SOAK + 1))
def test_thirty_kills_leave_no_trace(new_site, undisturbed, world, seed):
    survive_three_kills(new_site, undisturbed, world, seed)
