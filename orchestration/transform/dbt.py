"""dbt in this process: no second interpreter to start, and none left behind when this one is killed."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread
from typing import Any

from orchestration.warehouse.builds import BUILD_SETTING

from .project import Project

# dbt's own tidying after its last event takes less.
GRACE_SECONDS = 0.5
TELEMETRY_OFF = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}


@dataclass(frozen=True)
class Failure:
    """A node that failed. rows: what a failed test found, None for an error; compiled: its SQL."""

    unique_id: str
    name: str
    message: str
    rows: int | None
    compiled: str | None

    @property
    def is_finding(self) -> bool:
        """Whether a test found rows. A test that could not run says nothing about the data: that is an error."""
        return self.rows is not None


@dataclass
class Invocation:
    """One dbt command: iterate its events to the end, then look at failures.

    Events are dbt's structured log messages as dicts (info, data). cancel: ends the statements that dbt waits for;
    called until dbt has ended when the caller stops before the last event.
    """

    project: Project
    arguments: Sequence[str]
    build_id: int | None = None
    cancel: Callable[[], None] = lambda: None
    failures: list[Failure] = field(default_factory=list)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        # dbt's import costs seconds: paid here, not by whoever loads the definitions.
        from dbt.cli.main import dbtRunner
        from google.protobuf.json_format import MessageToDict

        events: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        outcome: list[Any] = []

        def pass_on(event: Any) -> None:
            events.put(MessageToDict(event, preserving_proto_field_name=True))

        def run() -> None:
            try:
                outcome.append(
                    dbtRunner(callbacks=[pass_on]).invoke(
                        ["--quiet", "--no-use-colors", *self.arguments, *self.project.options]
                    )
                )
            finally:
                events.put(None)

        with _environment(self.build_id):
            thread = Thread(target=run, name="dbt", daemon=True)
            thread.start()
            try:
                while (event := events.get()) is not None:
                    yield event
            finally:
                # A caller that stops early waits too: dbt must not write on after its build has ended. Again and
                # again, because dbt goes on with its next model.
                thread.join(GRACE_SECONDS)
                while thread.is_alive():
                    self.cancel()
                    thread.join(GRACE_SECONDS)
        if not outcome:
            raise RuntimeError("dbt ended without a result; its log says why")
        self._judge(outcome[0])

    def _judge(self, result: Any) -> None:
        if result.exception is not None:
            raise result.exception
        for node_result in getattr(result.result, "results", []):
            if node_result.status in ("error", "fail", "runtime error"):
                node = node_result.node
                self.failures.append(
                    Failure(
                        node.unique_id,
                        node.name,
                        (node_result.message or "").strip(),
                        node_result.failures if node_result.status == "fail" else None,
                        getattr(node, "compiled_code", None),
                    )
                )


def progress_line(event: dict[str, Any]) -> str | None:
    """What a person waiting would like to read of an event: each model as it is done, each test that failed."""
    data, name = event["data"], event["info"]["name"]
    if name == "LogModelResult":
        relation = data["node_info"]["node_relation"]
        model = f"{relation['schema']}.{relation['alias']}"
        rows = rows_written(event)
        done = data["status"].lower() if rows is None else f"{rows:,} rows"
        return f"{data['execution_time']:>6.1f} s  {model}: {done}"
    if name == "LogTestResult" and data["status"] not in ("pass", "skipped"):
        return f"{data['execution_time']:>6.1f} s  {data['name']}: {data['status']}, {data.get('num_failures', 0)} rows"
    return None


def rows_written(event: dict[str, Any]) -> int | None:
    """Rows that a model's last statement wrote, from PostgreSQL's word on it ("INSERT 0 45"); None for a view."""
    command, *numbers = event["data"]["status"].split()
    return int(numbers[-1]) if command in ("SELECT", "INSERT") and numbers else None


@contextmanager
def _environment(build_id: int | None) -> Iterator[None]:
    """The environment of one invocation; libpq hands PGOPTIONS to each session that dbt opens."""
    wanted = dict(TELEMETRY_OFF)
    if build_id is not None:
        wanted["PGOPTIONS"] = f"{os.environ.get('PGOPTIONS', '')} -c {BUILD_SETTING}={build_id}".strip()
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
