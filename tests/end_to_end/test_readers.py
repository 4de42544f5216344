"""Readers of marts while good builds and a poisoned one go through: each sees one published build, whole.

One story is played for all tests: a good build, a second good one, one that fails its audit (money that appears in
days long gone), and a good load after it.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import dagster as dg
import psycopg
import pytest

from tests.end_to_end.conftest import UNTIL
from tests.end_to_end.site import Site

# Everything that a build shows, through four marts of it: read one after the other, they agree only within one build.
STATE = (
    "select max(as_of) from marts.scorecard",
    "select sum(linear_revenue_cents) from marts.fct_attribution",
    "select sum(revenue_cents) from marts.attribution_by_channel where attribution_model = 'linear'",
    "select sum(revenue_cents) from marts.attribution_by_campaign where attribution_model = 'linear'",
)
READERS = 2
PAUSE_SECONDS = 0.03
POISON = "poison.jsonl"

State = tuple


@dataclass(frozen=True)
class Story:
    """states: what each published build shows, in order. readings: what readers saw meanwhile, in order."""

    site: Site
    states: list[State]
    readings: list[State]
    poisoned: CompletedProcess[str]


@pytest.fixture(scope="module")
def story(new_site, world, tmp_path_factory) -> Story:
    site = new_site(AUDIT_MIN_HISTORY="50")
    days = sorted({file.name.partition(".")[0] for file in world})
    second, third = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in days[-2:])
    first_files, second_files, third_files = (
        [file for file in world if file.name.partition(".")[0] in part] for part in (days[:-2], days[-2:-1], days[-1:])
    )
    poison = poison_in(tmp_path_factory.mktemp("poison"), world, before=second)

    assert build(site, first_files, as_of=second).returncode == 0
    states, readings = [state(site)], []
    with readers(site, readings):
        assert build(site, second_files, as_of=third).returncode == 0
        states.append(state(site))
        poisoned = build(site, [poison], as_of=third + timedelta(hours=1))
        assert state(site) == states[-1]
        assert build(site, third_files, as_of=UNTIL).returncode == 0
        states.append(state(site))
        time.sleep(1)
    return Story(site, states, readings, poisoned)


def poison_in(folder: Path, world: list[Path], *, before: datetime) -> Path:
    """Conversions in good form, of known users, worth far more than those that were published for their days."""
    users = next(file for file in world if file.parent.name == "users")
    known = [json.loads(line)["user_id"] for line in users.read_text().splitlines()[:50] if '"user_id"' in line]
    lines = [
        {
            "conversion_id": f"poison-{number}",
            "user_id": known[number % len(known)],
            "occurred_at": (before - timedelta(days=10, hours=number)).isoformat(),
            "conversion_type": "subscription",
            "revenue_cents": 50_000_000,
        }
        for number in range(300)
    ]
    path = folder / "conversions" / POISON
    path.parent.mkdir()
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def build(site: Site, files: list[Path], *, as_of: datetime) -> CompletedProcess[str]:
    site.land(files)
    site.run("marketing", "ingest")
    return site.run("env", f"MARKETING_AS_OF={as_of.isoformat()}", "marketing", "build", check=False)


def state(site: Site) -> State:
    with site.connect() as connection:
        return read(connection)


def read(connection: psycopg.Connection) -> State:
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with connection.transaction():
        return tuple(connection.execute(query).fetchone()[0] for query in STATE)


@contextmanager
def readers(site: Site, readings: list[State]) -> Iterator[None]:
    """Readers that poll all the time, as dashboards do; a reading that fails fails the test."""
    over = threading.Event()
    failures: list[psycopg.Error] = []

    def poll() -> None:
        try:
            with site.connect() as connection:
                while not over.wait(PAUSE_SECONDS):
                    readings.append(read(connection))
        except psycopg.Error as failure:
            failures.append(failure)

    threads = [threading.Thread(target=poll) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert failures == []


@pytest.fixture(scope="module")
def instance(story) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(story.site.home / "dagster")) as found:
        yield found


def test_nobody_ever_sees_a_poisoned_state_or_two_builds_at_once(story):
    assert len(story.readings) > 100
    assert list(dict.fromkeys(story.readings)) == story.states


def test_every_published_build_agrees_with_itself(story):
    for _, *sums in story.states:
        assert len(set(sums)) == 1
    assert len(set(story.states)) == len(story.states)


def test_the_failed_build_says_why_where_it_was_asked_for(story):
    assert story.poisoned.returncode == 1
    last_line = story.poisoned.stderr.strip().splitlines()[-1]
    assert "was not published" in last_line
    assert "attribution_by_channel" in last_line
    assert "held: loads" in last_line


def test_the_run_is_red_and_its_failed_check_says_what_by_how_much_and_shows_examples(story, instance):
    (run,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    checks = [event.dagster_event.asset_check_evaluation_data for event in events]
    failed = {check.check_name: check for check in checks if not check.passed}
    check = failed["attribution_by_channel_is_sound"]
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert check.asset_key == dg.AssetKey(["candidate", "attribution_by_channel"])
    assert "audit_max_change" in check.description
    assert check.metadata["rows"].value >= 1
    assert check.metadata["examples"].value
    assert "@" not in str(check.metadata)


def test_the_next_good_load_was_built_without_anyone_acting(story):
    with story.site.connect() as connection:
        builds = connection.execute("select status from ops.builds order by build_id").fetchall()
        loads = dict(
            connection.execute(
                "select source, status from raw.loads where status <> 'loaded' or feed = 'conversions'"
            ).fetchall()
        )
    assert [status for (status,) in builds] == ["published", "published", "failed", "published"]
    assert {source for source, status in loads.items() if status == "held"} == {f"landing/conversions/{POISON}"}
