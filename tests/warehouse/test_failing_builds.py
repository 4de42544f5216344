"""Builds that fail: which loads they hold, so that the next good one is built and good ones are not held for ever."""

import os
from datetime import UTC, datetime

import psycopg
import pytest

from orchestration.policy import Policy
from orchestration.settings import REPOSITORY
from orchestration.transform.builds import GIVE_UP_AFTER, open_session
from orchestration.transform.project import Project
from orchestration.warehouse import sessions
from orchestration.warehouse.locks import DBT_APPLICATION_NAME, BuildRunningError

AS_OF = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def session(warehouse):
    """Opens a build, as `marketing build` does."""
    policy = Policy.load(REPOSITORY / "dbt_project.yml", os.environ)
    project = Project(REPOSITORY, warehouse.home)
    return lambda **options: open_session(warehouse, project, policy, as_of=AS_OF, requested_by="a test", **options)


@pytest.fixture
def arrive(warehouse):
    """A load comes; returns its number."""

    def new_load() -> int:
        with warehouse.connect() as connection:
            return connection.execute(
                "insert into raw.loads (feed, source, started_at) values ('refunds', 'a test', now()) returning load_id"
            ).fetchone()[0]

    return new_load


def statuses(warehouse) -> dict[int, str]:
    with warehouse.connect() as connection:
        return dict(connection.execute("select load_id, status from raw.loads").fetchall())


def test_a_failed_audit_holds_what_was_new_and_the_next_build_sees_only_what_came_later(warehouse, session, arrive):
    """Prevents one poisoned file from failing every build after it."""
    poisoned = arrive()
    with session() as build:
        build.fail_audit("too much", ["a_law"])
    good = arrive()
    with session() as build:
        assert build.build.new_loads == 1
    assert statuses(warehouse) == {poisoned: "held", good: "loaded"}


def test_an_error_holds_nothing_until_it_comes_again_and_then_what_both_builds_were_given(warehouse, session, arrive):
    """Prevents a passing fault from holding good loads, and a value that no model takes from stopping every build."""
    poisoned = arrive()
    with session() as build:
        build.fail_models("out of range", ["int_conversions"])
    assert statuses(warehouse) == {poisoned: "loaded"}
    good = arrive()
    with session() as build:
        build.fail_models("out of range", ["int_conversions"])
    assert statuses(warehouse) == {poisoned: "held", good: "loaded"}


def test_a_build_that_is_stopped_does_not_wait_for_what_dbt_waits_for(warehouse, session):
    """Ctrl-C during a query of an hour took an hour."""
    with warehouse.connect() as blocker, session() as build:
        blocker.execute("lock table raw.touchpoints in access exclusive mode")
        events = iter(build.dbt())
        next(events)
        events.close()
        assert sessions.others(warehouse).count(DBT_APPLICATION_NAME) == 0


def test_an_error_elsewhere_is_another_error(warehouse, session, arrive):
    """Prevents two faults that have nothing to do with each other from holding a load."""
    load = arrive()
    for model in ("int_conversions", "int_touchpoints"):
        with session() as build:
            build.fail_models("no connection", [model])
    assert statuses(warehouse) == {load: "loaded"}


def test_loads_are_no_longer_suspected_when_builds_fail_alike_without_them(warehouse, session, arrive):
    """Prevents a fault of the models from holding every load that comes, for ever."""
    for _ in range(GIVE_UP_AFTER):
        arrive()
        with session() as build:
            build.fail_audit("found rows", ["a_law"])
    innocent = arrive()
    with session() as build:
        message = str(build.fail_audit("found rows", ["a_law"]))
    assert statuses(warehouse)[innocent] == "loaded"
    assert "not the cause" in message


def test_a_plain_dbt_at_work_is_waited_for_like_a_build(warehouse, session):
    """Prevents a build from publishing tables that a plain dbt replaces under its hands."""
    with (
        psycopg.connect(warehouse.url, application_name=DBT_APPLICATION_NAME),
        pytest.raises(BuildRunningError, match="plain dbt"),
        session(),
    ):
        pass
    with session() as build:
        assert build.build.is_full
