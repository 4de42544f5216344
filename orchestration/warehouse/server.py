"""The embedded server: PostgreSQL from a wheel, under MARKETING_HOME, for one machine.

It listens on 127.0.0.1 with SCRAM passwords only, outlives the process that started it, and ends
with stop(). Every step may be killed at any instant: the next start() finishes or begins anew.
"""

import fcntl
import json
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from . import locks, postmaster
from .account import Account
from .binaries import installation, reachable_installation
from .errors import WarehouseError
from .files import owners_only, write_private
from .tuning import settings_text

ADMIN = "postgres"
ENGINE = "marketing"
DATABASE = "marketing"
SETTINGS_FILE = "marketing.conf"
LOG_LIMIT_BYTES = 10_000_000
START_SECONDS = 90
# Recovery replays at most max_wal_size of log; a start that is making progress is waited for.
RECOVERY_SECONDS = 900
START_ATTEMPTS = 5
# What another attempt may overcome: a port taken meanwhile, or what a dead server or a killed starter left.
PASSING = re.compile("Address already in use|lock file .* already exists|shared memory block .* still in use")
# A server that takes no further session is running all the same.
FULL = re.compile("too many clients|connection slots are reserved")


class EmbeddedServer:
    """One PostgreSQL server whose data lie in `home`/warehouse; several processes may hold one each.

    home: MARKETING_HOME. major: 18, or 16 (the oldest that the engine supports).
    """

    def __init__(self, home: Path, *, major: int = 18) -> None:
        self.home = home.resolve()
        self.major = major
        self.directory = self.home / "warehouse"
        self.data_dir = self.directory / f"postgresql-{major}"
        self.log_file = self.directory / "server.log"
        self._access_file = self.directory / "server.json"
        self._lock_file = self.directory / "server.lock"

    @property
    def url(self) -> str:
        """libpq URL of the engine's login (no superuser). Raises WarehouseError before the first start."""
        access = self._read_access()
        return _url(ENGINE, access["password"], access["port"], DATABASE)

    def admin_url(self, database: str = DATABASE) -> str:
        """libpq URL of the superuser, for backup, restore and repair."""
        access = self._read_access()
        return _url(ADMIN, access["admin_password"], access["port"], database)

    def start(self) -> None:
        """Make sure that the server runs; of several callers at once one starts it and the others wait.

        Raises WarehouseError with the reason and the end of the server's log.
        """
        if self.is_running():
            return
        with self._locked():
            if self.is_running():
                return
            account = Account.for_data(self.data_dir)
            self._clear_leftovers()
            self._write_first_access()
            if not self.data_dir.exists():
                self._initialise(account)
            self._launch(account)
            self._prepare_engine()

    def stop(self, *, timeout_seconds: int = 60) -> bool:
        """End the server, breaking its sessions; False when none ran. Raises WarehouseError when it stays."""
        if not self.data_dir.exists():
            return False
        with self._locked():
            account = Account.for_data(self.data_dir)
            if postmaster.living(self.data_dir, account) is None:
                return False
            for mode in ("fast", "immediate"):
                done = self._pg_ctl(account, "stop", "-m", mode, "-w", "-t", str(timeout_seconds))
                if done == 0 or postmaster.living(self.data_dir, account) is None:
                    return True
        raise WarehouseError(f"the server in {self.data_dir} does not stop. {self._log_end()}")

    def is_running(self) -> bool:
        """Whether the server answers to the engine's password."""
        with owners_only():
            # Without its pid file the server is down; asking whoever has its port now could take long.
            if not (self.data_dir / "postmaster.pid").is_file() or not self._access_file.is_file():
                return False
        refusal = _refusal(self.url)
        return refusal is None or FULL.search(refusal) is not None

    def _read_access(self) -> dict:
        try:
            with owners_only():
                return json.loads(self._access_file.read_text())
        except FileNotFoundError as error:
            raise WarehouseError(
                f"no embedded warehouse under {self.home} yet: `marketing warehouse start` makes it"
            ) from error

    def _write_access(self, access: dict) -> None:
        write_private(self._access_file, json.dumps(access, indent=2) + "\n")

    def _write_first_access(self) -> None:
        if self._access_file.exists():
            return
        if self.data_dir.exists():
            raise WarehouseError(
                f"{self._access_file}, which holds the passwords of {self.data_dir}, is gone: "
                "put it back from a backup, or remove that directory to begin with an empty warehouse"
            )
        self._write_access(
            {
                "port": _free_port(),
                "admin_password": secrets.token_urlsafe(24),
                "password": secrets.token_urlsafe(24),
            }
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with owners_only():
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = self._lock_file.open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _clear_leftovers(self) -> None:
        """What a killed initdb left; it may still be writing, so what resists goes at the next start."""
        for leftover in self.directory.glob("initdb-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _initialise(self, account: Account) -> None:
        """initdb beside the final place, then one rename: a half-made cluster is never taken for a whole one."""
        staging = Path(tempfile.mkdtemp(prefix="initdb-", dir=self.directory))
        data, password = staging / "data", staging / "password"
        data.mkdir(mode=0o700)
        write_private(password, self._read_access()["admin_password"])
        for path in (staging, data, password):
            account.own(path)
        directory = _path_for(account, data)
        command = [
            reachable_installation(account, self.major) / "bin" / "initdb",
            f"--pgdata={directory}",
            f"--pwfile={directory}/../password",
            f"--username={ADMIN}",
            "--encoding=UTF8",
            "--auth-local=scram-sha-256",
            "--auth-host=scram-sha-256",
            "--data-checksums",
        ]
        command += _locale(self.major)
        made = account.run(command, cwd=data, capture_output=True, text=True)
        if made.returncode != 0:
            raise WarehouseError(f"initdb failed in {self.directory}: {made.stderr.strip() or made.stdout.strip()}")
        with (data / "postgresql.conf").open("a") as conf:
            conf.write(f"\ninclude_if_exists = '{SETTINGS_FILE}'  # rewritten at every start\n")
        data.rename(self.data_dir)
        shutil.rmtree(staging, ignore_errors=True)

    def _launch(self, account: Account) -> None:
        for _ in range(START_ATTEMPTS):
            running = postmaster.living(self.data_dir, account)
            if running is None:
                postmaster.clear_remains(self.data_dir, account)
                self._choose_port()
                self._write_settings(account)
                self._rotate_log()
                logged = self.log_file.stat().st_size if self.log_file.exists() else 0
                refused = self._pg_ctl(account, "start", "-w", "-t", str(START_SECONDS)) != 0
                if refused and PASSING.search(self._log_since(logged)) is None:
                    break
            elif running.port != self._read_access()["port"]:
                self._write_access({**self._read_access(), "port": running.port})
            if self._wait_until_ready(account):
                return
        if self._wait_until_ready(account):
            return
        raise WarehouseError(f"the server in {self.data_dir} does not start. {self._log_end()}")

    def _wait_until_ready(self, account: Account) -> bool:
        """Wait while a living server starts or recovers; True once it accepts the superuser."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while postmaster.living(self.data_dir, account) is not None and time.monotonic() < deadline:
            if self._pg_isready():
                refusal = _refusal(self.admin_url(ADMIN))
                if refusal is None:
                    return True
                if "password" in refusal:
                    raise WarehouseError(f"{self.data_dir} has another password than {self._access_file}: {refusal}")
            time.sleep(0.1)
        return False

    def _pg_isready(self) -> bool:
        port = self._read_access()["port"]
        command = [installation(self.major) / "bin" / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        return subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode == 0

    def _pg_ctl(self, account: Account, *arguments: str) -> int:
        """Run pg_ctl with the server's log as its output: a captured pipe would stay open as long as the server."""
        program = reachable_installation(account, self.major) / "bin" / "pg_ctl"
        with self.log_file.open("a") as log:
            self.log_file.chmod(0o600)
            return account.run(
                [program, "-D", _path_for(account, self.data_dir), *arguments],
                cwd=self.data_dir,
                stdout=log,
                stderr=subprocess.STDOUT,
            ).returncode

    def _choose_port(self) -> None:
        access = self._read_access()
        if not _is_free(access["port"]):
            self._write_access({**access, "port": _free_port()})

    def _write_settings(self, account: Account) -> None:
        text = settings_text(port=self._read_access()["port"])
        account.own(write_private(self.data_dir / SETTINGS_FILE, text))

    def _rotate_log(self) -> None:
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_LIMIT_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))

    def _log_end(self, lines: int = 8) -> str:
        if not self.log_file.exists():
            return f"It wrote no log ({self.log_file})."
        tail = self._log_since(max(0, self.log_file.stat().st_size - 8192)).splitlines()[-lines:]
        return f"The end of {self.log_file}:\n" + "\n".join(tail)

    def _log_since(self, position: int) -> str:
        with self.log_file.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")

    def _prepare_engine(self) -> None:
        """The engine's login and database; repeatable, since a kill may come between any two statements.

        The lock waits for the last statement of a killed starter, which its backend still finishes.
        """
        with (
            psycopg.connect(self.admin_url(ADMIN), autocommit=True) as connection,
            locks.starting(connection),
        ):
            verifier = connection.pgconn.encrypt_password(
                self._read_access()["password"].encode(), ENGINE.encode(), b"scram-sha-256"
            ).decode()
            engine = sql.Identifier(ENGINE)
            if connection.execute("select from pg_roles where rolname = %s", [ENGINE]).fetchone() is None:
                connection.execute(sql.SQL("create role {}").format(engine))
            connection.execute(
                sql.SQL("alter role {} login nosuperuser createdb createrole password {}").format(engine, verifier)
            )
            if connection.execute("select from pg_database where datname = %s", [DATABASE]).fetchone() is None:
                connection.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(DATABASE), engine))


def _url(user: str, password: str, port: int, database: str) -> str:
    return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{port}/{database}"


def _path_for(account: Account, directory: Path) -> Path:
    """How a program that works in directory names it: where a directory above is closed to the account, through
    its own working directory, which the kernel does not look up by name."""
    return directory if account.can_enter(directory) else Path("/proc/self/cwd")


def _refusal(url: str) -> str | None:
    """Why the server takes no session, or None when it does."""
    try:
        with psycopg.connect(url, connect_timeout=5):
            return None
    except psycopg.OperationalError as error:
        return str(error).strip()


def _locale(major: int) -> list[str]:
    """Code point order everywhere: the same sorting on every machine, and no index that a libc update breaks."""
    if major < 17:
        return ["--locale=C.UTF-8"]
    return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
