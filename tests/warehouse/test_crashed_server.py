"""A crash of the server empties what is derived; what people read and what was loaded stays."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import psycopg
import pytest

from orchestration.warehouse import Warehouse
from tests.engine import Engine, assert_same
from tests.oracles.records import conversion, touchpoint
from tests.oracles.worlds import together

BUILT = datetime(2026, 3, 10, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def own_warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """On a server that this test alone uses."""
    warehouse = Warehouse.open(tmp_path / "home")
    yield warehouse
    warehouse.server.stop()


def crash(warehouse: Warehouse) -> None:
    """kill -9 of one session: the server takes its memory for damaged and recovers from its log."""
    connection = psycopg.connect(warehouse.url)
    pid = connection.info.backend_pid
    os.kill(pid, signal.SIGKILL)
    while psutil.pid_exists(pid):
        time.sleep(0.01)
    connection.close()


def test_the_build_after_a_crash_makes_everything_anew(own_warehouse):
    engine = Engine(own_warehouse)
    first = {"touchpoints": [touchpoint("t1", BUILT - DAY)], "conversions": [conversion("c1", BUILT)]}
    then = {"touchpoints": [touchpoint("t2", BUILT - 2 * DAY)]}
    engine.ingest(first)
    assert engine.build(BUILT).is_full
    assert not engine.build(BUILT).is_full
    crash(own_warehouse)
    own_warehouse = Warehouse.open(own_warehouse.home)
    assert_same(engine.marts(), engine.expected(first, BUILT), "marts after the crash and the oracle")
    engine.ingest(then)
    build = engine.build(BUILT)
    assert build.full_reason.startswith("the server crashed")
    expected = engine.expected(together([first, then]), BUILT)
    for schema in ("marts", "candidate"):
        assert_same(engine.marts(schema), expected, f"{schema} after the next build and the oracle")
    assert not engine.build(BUILT).is_full
