"""One build at a time: the lock ends with its session, and whoever waits learns for whom."""

import threading
import time

import pytest

from orchestration.warehouse.locks import BuildLock, BuildRunningError


@pytest.fixture
def sessions(warehouse):
    """Two sessions, as of two builds."""
    with (
        warehouse.connect("marketing build", autocommit=True) as first,
        warehouse.connect("dagster refresh", autocommit=True) as second,
    ):
        yield first, second


def test_a_second_build_is_told_who_builds_and_since_when(sessions):
    first, second = sessions
    with BuildLock(first).take(wait_seconds=0):
        first.execute(
            """
            insert into ops.builds (as_of, status, is_full, policy_sha256, code_sha256, requested_by)
            values ('2026-04-01', 'running', true, 'p', 'c', 'test')
            """
        )
        waited_for = []
        with pytest.raises(BuildRunningError, match=r"another build is running: marketing build \(server process \d+"):
            BuildLock(second).take(wait_seconds=0.6, on_wait=waited_for.append)
        (holder,) = waited_for
        assert (holder.application_name, holder.pid) == ("marketing build", first.info.backend_pid)
        assert holder.since == first.execute("select started_at from ops.builds").fetchone()[0]
        assert "building since 20" in str(holder)
    with BuildLock(second).take(wait_seconds=0) as lock:
        assert lock.holder().pid == second.info.backend_pid


def test_a_build_that_waits_goes_on_when_the_other_ends(sessions):
    first, second = sessions
    lock = BuildLock(first).take(wait_seconds=0)
    threading.Timer(0.3, lock.release).start()
    started = time.monotonic()
    with BuildLock(second).take(wait_seconds=30):
        assert 0.2 < time.monotonic() - started < 5


def test_a_killed_build_frees_the_lock(sessions, warehouse):
    """kill -9 leaves no one to unlock."""
    first, second = sessions
    BuildLock(first).take(wait_seconds=0)
    with warehouse.connect(autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s)", [first.info.backend_pid])
    with BuildLock(second).take(wait_seconds=5):
        assert BuildLock(second).holder().application_name == "dagster refresh"


def test_nobody_holds_a_lock_that_was_given_back(sessions):
    first, second = sessions
    with BuildLock(first).take(wait_seconds=0):
        pass
    assert BuildLock(second).holder() is None


def test_the_database_agrees_with_the_lock_about_who_builds(sessions):
    """dbt's hook asks ops.build_lock_is_held(): with another key in it, a plain dbt build would join a running one."""
    first, second = sessions
    held = "select ops.build_lock_is_held()"
    assert second.execute(held).fetchone() == (False,)
    with BuildLock(first).take(wait_seconds=0):
        assert second.execute(held).fetchone() == (True,)
    assert second.execute(held).fetchone() == (False,)


def test_the_lock_needs_a_session_in_autocommit(warehouse):
    """Idle in a transaction for the length of a build, it would keep vacuum from every table."""
    with warehouse.connect() as connection, pytest.raises(ValueError, match="autocommit"):
        BuildLock(connection)
