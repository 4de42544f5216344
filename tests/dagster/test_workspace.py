"""The code location as Dagster's own commands find it, from the root of the repository."""

import subprocess
import sys

from orchestration.settings import REPOSITORY
from tests.end_to_end.site import Site


def test_dagster_finds_sound_definitions_through_workspace_yaml(warehouse, tmp_path):
    """`dagster dev` in the root is how a newcomer starts."""
    site = Site(tmp_path / "home", warehouse.url)
    (tmp_path / "home" / "dagster").mkdir(parents=True)
    command = [sys.executable, "-m", "dagster", "definitions", "validate"]
    done = subprocess.run(command, cwd=REPOSITORY, env=site.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Validation successful for code location marketing" in done.stdout + done.stderr
