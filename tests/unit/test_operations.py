"""Presence of runs, and the deletion of what nobody reads any more."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestration.operations.housekeeping import remove_older, rotate
from orchestration.operations.presence import is_gone, present

NOW = datetime(2026, 4, 1, tzinfo=UTC)
HOLD = "import sys, pathlib; from orchestration.operations.presence import present\n"
HOLD += "with present(pathlib.Path(sys.argv[1]), 'run'): print('here', flush=True); sys.stdin.read()"


def test_a_run_is_present_for_as_long_as_its_process_lives(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "here\n"
        assert not is_gone(tmp_path, "run")
        process.kill()
        process.wait()
    assert is_gone(tmp_path, "run")


def test_a_run_that_ended_as_it_should_leaves_nothing(tmp_path):
    with present(tmp_path, "run"):
        assert not is_gone(tmp_path, "run")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_said_of_a_run_of_another_machine(tmp_path):
    """It may be well: to end it would publish marts under a run that the UI calls failed."""
    assert not is_gone(tmp_path, "elsewhere")


def aged(path: Path, days: float) -> Path:
    at = (NOW - timedelta(days=days)).timestamp()
    os.utime(path, (at, at))
    return path


def test_only_what_is_older_goes_files_and_folders_alike(tmp_path):
    old_file, young_file, old_folder = tmp_path / "old", tmp_path / "young", tmp_path / "folder"
    old_file.touch()
    young_file.touch()
    (old_folder / "inside").mkdir(parents=True)
    paths = [aged(old_file, 7.1), aged(young_file, 6.9), aged(old_folder, 30), tmp_path / "gone meanwhile"]
    assert remove_older(paths, days=7, now=NOW) == 2
    assert sorted(tmp_path.iterdir()) == [young_file]


def test_a_large_log_begins_afresh_while_its_writer_goes_on(tmp_path):
    log = tmp_path / "daemon.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 101)
        assert not rotate(log, limit_bytes=101)
        assert rotate(log, limit_bytes=100)
        writer.write(b"new")
    assert log.read_bytes() == b"new"
    assert (tmp_path / "daemon.log.1").read_bytes() == b"x" * 101
