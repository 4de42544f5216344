"""The Dagster instance of an installation: configured under MARKETING_HOME, stored in the warehouse's server."""

from pathlib import Path

import yaml

from orchestration.policy import Policy
from orchestration.runs import LONG_RUN
from orchestration.warehouse import Warehouse
from orchestration.warehouse.files import write_private

MODULE = "orchestration.definitions"
# Schedules, sensors and their cursors are found by it: the same in every shape in which the engine runs.
LOCATION = "marketing"
# seconds between two looks for runs whose process is gone.
MONITORING_INTERVAL = 30


def write_instance(warehouse: Warehouse, policy: Policy) -> Path:
    """Write MARKETING_HOME/dagster/dagster.yaml (mode 0600: it names a password); returns DAGSTER_HOME."""
    home = warehouse.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    keep = {
        "purge_after_days": {
            "skipped": 1,
            "success": policy.dagster_retention_days,
            "failure": policy.dagster_retention_days,
        }
    }
    configuration = {
        # dagster-postgres wants the driver said: SQLAlchemy 2.1 would read a bare postgresql:// as psycopg 3.
        "storage": {"postgres": {"postgres_url": warehouse.dagster_url}},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        # One place is kept from long runs: whoever hangs must not keep alerts from being told.
        "concurrency": {
            "runs": {"max_concurrent_runs": 3, "tag_concurrency_limits": [{"key": LONG_RUN, "limit": 2}]},
        },
        "run_launcher": {"module": "orchestration.operations.defs", "class": "WatchfulRunLauncher"},
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": 180,
            "poll_interval_seconds": MONITORING_INTERVAL,
        },
        "retention": {"schedule": keep, "sensor": keep},
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(home)},
        },
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(warehouse.home / "logs" / "dagster")},
        },
    }
    path = home / "dagster.yaml"
    text = "# Written by every start of the engine.\n" + yaml.safe_dump(configuration, sort_keys=False)
    if not path.exists() or path.read_text() != text:
        write_private(path, text)
    return home
