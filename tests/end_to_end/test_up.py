"""`marketing up`: files that land are loaded, runs asked for in the UI end well, dead ones are ended, and so is all."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test

from orchestration.warehouse.server import EmbeddedServer
from tests.end_to_end.conftest import UNTIL
from tests.end_to_end.site import Site, kill

PATIENCE_SECONDS = 240
LAUNCH = """
    mutation Launch($job: String!) {
      launchRun(executionParams: {
        selector: {repositoryLocationName: "marketing", repositoryName: "__repository__", jobName: $job},
        runConfigData: {}
      }) {
        __typename
        ... on LaunchRunSuccess { run { runId } }
        ... on PythonError { message }
      }
    }
"""


@dataclass(frozen=True)
class Up:
    """A running `marketing up`. told: the lines that it has printed so far."""

    site: Site
    port: int
    process: subprocess.Popen[str]
    told: list[str] = field(default_factory=list)

    def wait_until_ready(self) -> "Up":
        for line in self.process.stdout:
            self.told.append(line.rstrip("\n"))
            if line.startswith("Ctrl-C"):
                return self
        raise AssertionError("\n".join(["it ended:", *self.told]))

    def graphql(self, query: str, **variables: str) -> dict:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(1)


def start(site: Site, port: int) -> Up:
    return Up(site, port, site.start("marketing", "up")).wait_until_ready()


@pytest.fixture(scope="module")
def up(tmp_path_factory) -> Iterator[Up]:
    """On an embedded server of its own, in a directory with a space in its name."""
    port = free_port()
    site = Site(
        tmp_path_factory.mktemp("a home"),
        settings={
            "DAGSTER_PORT": str(port),
            "MARKETING_AS_OF": UNTIL.isoformat(),
            "MONITORING_INTERVAL_MS": "5000",
        },
    )
    running = start(site, port)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.terminate()
            running.process.wait(timeout=60)
        EmbeddedServer(site.home).stop()


@pytest.fixture
def instance(up) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(up.site.home / "dagster")) as found:
        yield found


@pytest.fixture
def connection(up) -> Iterator[psycopg.Connection]:
    with up.site.connect() as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def lost_run(up) -> dg.DagsterRun:
    """A run that its code server knows nothing of, as one is whose process was killed with an earlier server."""
    with dg.DagsterInstance.from_config(str(up.site.home / "dagster")) as instance:
        return create_run_for_test(
            instance,
            job_name="refresh",
            status=dg.DagsterRunStatus.STARTED,
            tags={GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": str(code_socket(up))})},
        )


def code_socket(up: Up) -> Path:
    return Path(re.search(r"/\S+code\.sock", (up.site.home / "dagster" / "workspace.yaml").read_text()).group())


def test_it_says_where_everything_is(up):
    assert f"Dagster UI  http://127.0.0.1:{up.port}" in up.told
    assert f"landing     {up.site.home / 'landing'}" in up.told
    with urllib.request.urlopen(f"http://127.0.0.1:{up.port}/server_info", timeout=30) as answer:
        assert "dagster_version" in json.load(answer)


@pytest.mark.parametrize(
    ("port", "why"),
    [("its own", "it is already up here"), ("that of the other", r"port \d+ is taken by another program")],
)
def test_a_second_one_is_refused_in_one_line(up, tmp_path, port, why):
    """Two code servers or daemons side by side share ports, runs and ticks without an error anywhere."""
    if port == "its own":
        other = Site(up.site.home, settings={"DAGSTER_PORT": str(free_port())})
    else:
        other = Site(tmp_path, settings={"DAGSTER_PORT": str(up.port)})
    refused = other.run("marketing", "up", check=False, timeout=60)
    assert refused.returncode == 1
    assert re.search(why, refused.stderr)
    assert len(refused.stderr.splitlines()) == 1


def test_files_that_land_are_loaded_with_nobody_acting(up, world, connection):
    up.site.land(world)
    loaded = "select count(*) from raw.loads where status = 'loaded'"
    wait_for(lambda: connection.execute(loaded).fetchone() == (len(world),), "the landing sensor's load")
    done = sorted(path.parent.name for path in (up.site.home / "landing" / ".done").glob("*/*"))
    assert done == sorted(file.parent.name for file in world)


def test_a_load_opens_no_build(connection):
    """A build that ends without publication makes the next one rebuild everything."""
    asked_for = connection.execute("select distinct requested_by from ops.builds").fetchall()
    assert asked_for in ([], [("schedule",)])


def test_a_run_asked_for_in_the_ui_goes_through_the_queue_and_publishes(up, instance, connection):
    """SQLAlchemy 2.1 reads the storage's URL as psycopg 3: the UI looks well, and no run ever starts."""
    launched = up.graphql(LAUNCH, job="refresh")["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]
    wait_for(lambda: instance.get_run_by_id(run_id).is_finished, "the run's end")
    assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.SUCCESS
    assert instance.all_logs(run_id, of_type=dg.DagsterEventType.PIPELINE_ENQUEUED)
    # A quarter of an hour may have come meanwhile, with a run of the schedule's own.
    builds = connection.execute("select status from ops.builds where run_id = %s", [run_id]).fetchall()
    assert builds == [("published",)]
    assert connection.execute("select count(*) > 0 from marts.fct_attribution").fetchone() == (True,)


def test_a_run_whose_process_is_gone_is_ended_and_recorded(lost_run, instance, connection):
    """Left as started for ever it would hold a place in the queue, and two of them would stop every refresh."""
    wait_for(lambda: instance.get_run_by_id(lost_run.run_id).is_finished, "the end of the lost run")
    assert instance.get_run_by_id(lost_run.run_id).status == dg.DagsterRunStatus.FAILURE
    recorded = "select job_name, reason, held_load_ids from ops.run_failures where run_id = %s"
    wait_for(lambda: connection.execute(recorded, [lost_run.run_id]).rowcount == 1, "its record")
    job_name, reason, held_load_ids = connection.execute(recorded, [lost_run.run_id]).fetchone()
    assert (job_name, held_load_ids) == ("refresh", [])
    assert "its process is gone" in reason


def test_schedules_and_sensors_are_on_from_the_start(up):
    found = up.graphql(
        """
        query { repositoryOrError(repositorySelector: {
          repositoryLocationName: "marketing", repositoryName: "__repository__"
        }) { ... on Repository {
          schedules { name scheduleState { status } }
          sensors { name sensorState { status } }
        } } }
        """
    )["repositoryOrError"]
    states = {one["name"]: one["scheduleState"]["status"] for one in found["schedules"]}
    states |= {one["name"]: one["sensorState"]["status"] for one in found["sensors"]}
    assert set(states.values()) == {"RUNNING"}
    assert {"quarter_hourly_refresh", "daily_housekeeping", "landing_sensor", "failed_run_sensor"} <= set(states)


def test_the_end_of_one_program_is_the_end_of_all_and_is_told(tmp_path):
    port = free_port()
    site = Site(tmp_path / "home", settings={"DAGSTER_PORT": str(port)})
    running = start(site, port)
    try:
        (daemon,) = children(running.process.pid, "dagster._daemon")
        os.kill(daemon, signal.SIGKILL)
        rest, _ = running.process.communicate(timeout=60)
        assert running.process.returncode == 1
        assert "the daemon ended unasked (killed by SIGKILL)" in rest
        assert not EmbeddedServer(site.home).is_running()
    finally:
        kill(running.process)
        EmbeddedServer(site.home).stop()


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_marts_have_what_landed_within_one_refresh_with_nobody_acting(tmp_path, world):
    port = free_port()
    site = Site(tmp_path / "home", settings={"DAGSTER_PORT": str(port), "MARKETING_AS_OF": UNTIL.isoformat()})
    running = start(site, port)
    try:
        site.land(world)
        published = "select count(*) from raw.loads where published_build_id is not null"
        with site.connect() as connection:
            wait_for(
                lambda: connection.execute(published).fetchone() == (len(world),),
                "two looks of the sensor, a load, and one refresh",
                seconds=60 + 60 + 15 * 60 + 120,
            )
            assert connection.execute("select count(*) > 0 from marts.fct_attribution").fetchone() == (True,)
    finally:
        running.process.terminate()
        running.process.wait(timeout=90)
        EmbeddedServer(site.home).stop()


def children(parent: int, word: str) -> list[int]:
    rows = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    split = [row.split(None, 2) for row in rows.splitlines()]
    return [int(pid) for pid, ppid, arguments in split if int(ppid) == parent and word in arguments]


def test_what_went_wrong_is_told_with_nobody_acting(up, lost_run, connection):
    """Prevents an engine that measures, judges and sends by hand only."""
    told = up.site.home / "alerts" / "alerts.jsonl"
    wait_for(lambda: told.exists() and "A run has failed" in told.read_text(), "the alert of the lost run")
    alert = next(json.loads(line) for line in told.read_text().splitlines() if "A run has failed" in line)
    assert f"more: http://127.0.0.1:{up.port}/runs/{lost_run.run_id}" in alert["text"]
    minutes = "select count(*) from ops.metric_rollups where metric = 'engine_up' and resolution = '1m' and avg = 1"
    wait_for(lambda: connection.execute(minutes).fetchone()[0] >= 2, "two minutes that count as up")


def test_ctrl_c_ends_everything_the_server_that_it_started_too(up):
    """Last of this module: it ends what the others use."""
    socket_folder = code_socket(up).parent
    started = children(up.process.pid, "")
    assert len(started) >= 4
    up.process.send_signal(signal.SIGINT)
    rest, _ = up.process.communicate(timeout=90)
    assert up.process.returncode == 0
    assert rest.splitlines()[-1] == "stopped"
    living = subprocess.run(["ps", "-o", "stat=", "-p", ",".join(map(str, started))], capture_output=True, text=True)
    assert set(living.stdout.split()) <= {"Z"}
    assert not socket_folder.exists()
    assert not EmbeddedServer(up.site.home).is_running()
