"""A process that writes content, killed at any instant: no brief is written, or paid for, twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from orchestration.content.asking import ask
from orchestration.content.draining import drain
from orchestration.warehouse import Warehouse
from tests.content_desk import NOW, calls, campaigns, desk, drafts, due_now, jobs
from tests.openai_server import openai_server

# Claims of the dead run out at once, so that the test need not wait for them.
WRITER = """
import sys
from datetime import timedelta
from pathlib import Path
from orchestration.content import draining
from orchestration.warehouse import Warehouse
from tests.content_desk import POLICY, desk
from tests.openai_server import Served
home, url, server = sys.argv[1:]
warehouse = Warehouse.open(Path(home), url)
made = desk(Served(server))
made.writer.moderate("")
print("ready", flush=True)
draining.drain(warehouse, made)
"""


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.soak)])
def test_killed_in_mid_job_it_writes_and_pays_for_nothing_twice(warehouse: Warehouse, tmp_path: Path, kills: int):
    luck, many = Random(kills), 8 * kills
    campaigns(warehouse, many)
    with openai_server() as served:
        ask(warehouse, desk(served), NOW)
        served.seconds = 0.08
        command = [sys.executable, "-c", WRITER, str(tmp_path), warehouse.url, served.url]
        for _kill in range(kills):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
            try:
                assert process.stdout.readline() == b"ready\n"
                time.sleep(luck.random() * 0.6)
                os.kill(process.pid, signal.SIGKILL)
            finally:
                process.kill()
                process.wait()
                process.stdout.close()
            _let_claims_run_out(warehouse)
        for _round in range(3):
            due_now(warehouse)
            drain(warehouse, desk(served))
            _let_claims_run_out(warehouse)
        assert served.faults == []
        assert set(served.billed.values()) == {1}
    ended = jobs(warehouse)
    assert {job["status"] for job in ended} <= {"done", "manual"}
    for job in ended:
        own = [draft for draft in drafts(warehouse) if draft["job_id"] == job["job_id"]]
        if job["status"] == "done":
            assert [draft["origin"] for draft in own] == ["ai", "ai"]
        else:
            # Whoever asked died before the answer was stored: people decide whether to pay again.
            assert [draft["origin"] for draft in own] == ["template"]
            # So many deaths in a row open the breaker, too; then nobody is asked at all.
            paid = any(call["job_id"] == job["job_id"] for call in calls(warehouse))
            assert ("may have been paid for" if paid else "AI is given a rest") in job["reason"]
    told = calls(warehouse)
    assert all(call["cost_usd_micros"] is not None for call in told)
    assert sum(call["outcome"] == "answered" for call in told) == sum(job["status"] == "done" for job in ended)
    assert any(job["status"] == "done" for job in ended)


def _let_claims_run_out(warehouse: Warehouse) -> None:
    # What the dead had sent is rolled back, or committed, when their sessions are gone.
    with warehouse.connect(autocommit=True) as connection:
        deadline = time.monotonic() + 10
        query = """
            select count(*) from pg_stat_activity
            where application_name = 'marketing content' and datname = current_database()
        """
        while connection.execute(query).fetchone()[0]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        connection.execute("update ops.content_jobs set claimed_until = clock_timestamp() where finished_at is null")
