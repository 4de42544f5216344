"""What PostgreSQL's pid file says, and whether it is still true.

A killed postmaster may stay as a zombie, its pid may be another program's after a reboot, and its
backends may outlive it for as long as a query takes. This module tells these apart.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .account import Account

PROC = Path("/proc")
# A query runs on after its postmaster's death, until it would answer.
ORPHAN_GRACE_SECONDS = 5.0
# Above every system's highest pid.
NO_PROCESS = 4_194_305


@dataclass(frozen=True)
class Postmaster:
    """A living server process and the TCP port it was started with."""

    pid: int
    port: int


def living(data_dir: Path, account: Account) -> Postmaster | None:
    """The server process that works in data_dir, or None when there is none (a zombie is none)."""
    try:
        lines = (data_dir / "postmaster.pid").read_text().splitlines()
        found = Postmaster(pid=abs(int(lines[0])), port=int(lines[3]))
    except (FileNotFoundError, ValueError, IndexError):
        return None
    if not _is_living_postgres(found.pid) or not _works_in(found.pid, data_dir, account):
        return None
    return found


def clear_remains(data_dir: Path, account: Account) -> None:
    """Make way for a new server where living() found none; returns early when one appears after all.

    Backends of a dead postmaster get ORPHAN_GRACE_SECONDS to leave, then are killed (on Linux; elsewhere
    they leave alone). The pid file stays, since its shared memory key keeps a new server from starting
    beside backends that survive; but its pid becomes one that the kernel cannot take for a living one.
    """
    deadline = time.monotonic() + ORPHAN_GRACE_SECONDS
    while orphans := list(_workers(data_dir, account)):
        if living(data_dir, account) is not None:
            return
        if time.monotonic() > deadline:
            for pid in orphans:
                _kill(pid)
        time.sleep(0.1)
    pid_file = data_dir / "postmaster.pid"
    if not pid_file.exists():
        return
    _, _, rest = pid_file.read_text().partition("\n")
    with pid_file.open("r+") as file:
        file.write(f"{NO_PROCESS}\n{rest}")
        file.truncate()


def _workers(data_dir: Path, account: Account) -> Iterator[int]:
    if not PROC.is_dir():
        return
    uid = os.geteuid() if account.uid is None else account.uid
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            mine = entry.stat().st_uid == uid
        except FileNotFoundError:
            continue
        pid = int(entry.name)
        if mine and _is_living_postgres(pid) and _works_in(pid, data_dir, account, if_unknown=False):
            yield pid


def _is_living_postgres(pid: int) -> bool:
    if not PROC.is_dir():
        ps = ["ps", "-o", "stat=,comm=", "-p", str(pid)]
        row = subprocess.run(ps, check=False, capture_output=True, text=True).stdout.split()
        return len(row) == 2 and not row[0].startswith("Z") and row[1].rpartition("/")[2] == "postgres"
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return name == "postgres" and rest.split()[0] not in "ZX"


def _works_in(pid: int, data_dir: Path, account: Account, *, if_unknown: bool = True) -> bool:
    """Every process of a server works in its data directory."""
    if not PROC.is_dir():
        return if_unknown
    link = PROC / str(pid) / "cwd"
    try:
        return os.readlink(link) == str(data_dir.resolve())
    except FileNotFoundError:
        return False
    except PermissionError:
        # In a container root may lack the right to look, which the account has.
        answer = account.run(["readlink", link], capture_output=True, text=True)
    if answer.returncode != 0:
        return if_unknown
    return answer.stdout.rstrip("\n") == str(data_dir.resolve())


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
