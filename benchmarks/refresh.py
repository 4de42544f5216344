"""A whole refresh, `marketing build` as a person or a schedule starts it, and where its seconds go.

    python -m benchmarks.refresh [--people 5000]

A simulated quarter in a fresh MARKETING_HOME is ingested and built; then it is refreshed with nothing new, and with
1,000 new events. Each command is a process of its own: imports count.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.measure import Cost, Meter, heading, row
from orchestration.warehouse import Warehouse

# An event for each of these, its fields taken from a random one that is there, so that no suite finds it odd.
TOUCHES = """
select user_id, anonymous_id, channel, campaign_id, interaction
from raw.touchpoints order by md5(event_id) limit 900
"""
CONVERSIONS = """
select user_id, conversion_type, revenue_cents, currency
from raw.conversions order by md5(conversion_id) limit 100
"""
STEPS = {
    "judge_new_loads": "judging new loads",
    "dbt_models": "dbt: models and their tests",
    "audit_candidate": "the audit of candidate",
    "publish_marts": "publication",
}


class Installation:
    """A MARKETING_HOME of its own and the `marketing` command in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._environment = {**os.environ, "MARKETING_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
        self.warehouse = Warehouse.open(home)
        self._meter = Meter(self.warehouse)

    def run(self, *arguments: str) -> Cost:
        """Cost of one command, its process included. Raises SystemExit when it fails."""

        def command() -> None:
            program = [sys.executable, "-c", "from orchestration.cli import main; main()", *arguments]
            done = subprocess.run(program, env=self._environment, capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"marketing {' '.join(arguments)}: {done.stderr}")

        return self._meter.cost(command)

    def land(self) -> None:
        """1,000 new events of the last hour in the landing folder."""
        now = datetime.now(UTC)
        with self.warehouse.connect() as connection:
            for feed, key, query in (
                ("touchpoints", "event_id", TOUCHES),
                ("conversions", "conversion_id", CONVERSIONS),
            ):
                cursor = connection.execute(query)
                names = [column.name for column in cursor.description]
                lines = [
                    json.dumps(
                        {
                            key: str(uuid.uuid4()),
                            "occurred_at": (now - timedelta(seconds=number)).isoformat(),
                            **{name: value for name, value in zip(names, values, strict=True) if value is not None},
                        }
                    )
                    for number, values in enumerate(cursor, start=1)
                ]
                file = self.home / "landing" / feed / "new.jsonl"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("\n".join(lines) + "\n")

    def show_last_run(self, cost: Cost) -> None:
        """Where the wall time of the latest refresh went, by Dagster's and dbt's own records of it."""
        os.environ["DAGSTER_HOME"] = self._environment["DAGSTER_HOME"]
        import dagster as dg

        with dg.DagsterInstance.get() as instance:
            record = instance.get_run_records(limit=1)[0]
            run_id = record.dagster_run.run_id
            steps = {one.step_key: one.end_time - one.start_time for one in instance.get_run_step_stats(run_id)}
            events = len(instance.all_logs(run_id))
        run = record.end_time - record.start_time
        before = cost.wall - run
        _part("before the run: imports, settings, definitions; and exit", before)
        for key, name in STEPS.items():
            _part(name, steps[key])
            if key == "dbt_models":
                self._show_dbt(steps[key])
        _part(f"the rest of the run; {events} events are stored in all", run - sum(steps.values()))

    def _show_dbt(self, wall: float) -> None:
        results: dict[str, Any] = json.loads((self.home / "dbt" / "target" / "run_results.json").read_text())
        seconds, nodes = Counter(), Counter()
        for result in results["results"]:
            kind = result["unique_id"].split(".")[0]
            seconds[kind] += result["execution_time"]
            nodes[kind] += 1
        _part("  of it, project and manifest", wall - results["elapsed_time"])
        for kind in ("model", "test"):
            _part(f"  of it, {nodes[kind]} {kind}s (seconds of all threads)", seconds[kind])


def _part(name: str, seconds: float) -> None:
    print(f"    {name:<66}{seconds:>7.2f} s", flush=True)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=5_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="refresh-benchmark-") as folder:
        installation = Installation(Path(folder))
        try:
            heading(f"\na refresh; a simulated quarter of {options.people:,} people")
            installation.run("simulate", "--out", str(installation.home / "landing"), "--people", str(options.people))
            row("the first ingest", installation.run("ingest"))
            first = installation.run("build")
            row("the first build", first)
            installation.show_last_run(first)
            nothing = installation.run("build")
            row("a refresh with nothing new", nothing)
            installation.show_last_run(nothing)
            installation.land()
            ingest = installation.run("ingest")
            build = installation.run("build")
            row("a refresh with 1,000 new events, their ingest included", ingest + build)
            _part("their ingest", ingest.wall)
            installation.show_last_run(build)
        finally:
            installation.warehouse.server.stop()


if __name__ == "__main__":
    main()
