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
from orchestration.content.exporting import SendingSystem, export
from orchestration.warehouse import Warehouse, content_drafts
from tests.content_desk import NOW, calls, campaigns, desk, drafts, due_now, jobs
from tests.openai_server import openai_server
from tests.receivers import http_receiver, webhook_fault

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
            _killed_after(luck.random() * 0.6, command)
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
            assert "may have been paid for" in job["reason"]
    told = calls(warehouse)
    assert all(call["cost_usd_micros"] is not None for call in told)
    assert sum(call["outcome"] == "answered" for call in told) == sum(job["status"] == "done" for job in ended)
    assert any(job["status"] == "done" for job in ended)


EXPORTER = """
import sys
from pathlib import Path
from orchestration.content.exporting import SendingSystem, export
from orchestration.warehouse import Warehouse
home, url, receiver, secret = sys.argv[1:]
warehouse = Warehouse.open(Path(home), url)
print("ready", flush=True)
while True:
    export(warehouse, Path(home) / "out", SendingSystem(receiver, (secret,), may_be_private=True))
"""


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.soak)])
def test_killed_in_mid_export_what_is_approved_goes_out_and_what_is_retired_comes_back(
    warehouse: Warehouse, tmp_path: Path, kills: int
):
    luck, secret = Random(kills), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    with openai_server() as served:
        campaigns(warehouse, 4 * kills)
        ask(warehouse, desk(served), NOW)
        drain(warehouse, desk(served))
    written = [draft["draft_id"] for draft in drafts(warehouse) if draft["origin"] == "ai"]
    with warehouse.connect() as connection:
        for draft_id in written:
            content_drafts.review(connection, draft_id, status="approved", author="ann", reason=None)
    retired = luck.sample(written, len(written) // 3)
    with http_receiver(webhook_fault([secret])) as receiver:
        command = [sys.executable, "-c", EXPORTER, str(tmp_path), warehouse.url, receiver.url, secret]
        for kill in range(kills):
            with warehouse.connect(autocommit=True) as connection:
                for draft_id in retired[kill::kills]:
                    content_drafts.retire(connection, draft_id, author="bob", reason="second thoughts")
            _killed_after(luck.random() * 0.15, command)
        _wait_for_the_dead(warehouse)
        export(warehouse, tmp_path / "out", SendingSystem(receiver.url, (secret,), may_be_private=True))
        assert receiver.faults == []
    found = drafts(warehouse)
    assert {draft["status"] for draft in found if draft["draft_id"] not in retired} == {"published"}
    heard: dict[str, list[str]] = {}
    for taken in receiver.taken:
        heard.setdefault(taken["data"]["variant_id"], []).append(taken["type"])
    for draft in found:
        told = heard.get(draft["variant_id"], [])
        if draft["draft_id"] in retired:
            # Of what never left nobody is told.
            assert draft["status"] == "superseded"
            assert not told or told[-1] == "content.retired"
        else:
            assert set(told) == {"content.approved"}
    files = {path.stem for path in (tmp_path / "out").glob("*.json")}
    assert files == {draft["variant_id"] for draft in found if draft["status"] == "published"}


def _killed_after(seconds: float, command: list[str]) -> None:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _let_claims_run_out(warehouse: Warehouse) -> None:
    _wait_for_the_dead(warehouse)
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("update ops.content_jobs set claimed_until = clock_timestamp() where finished_at is null")


def _wait_for_the_dead(warehouse: Warehouse) -> None:
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
