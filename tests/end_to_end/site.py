"""An installation in a directory of its own, used from outside: by the command line, real processes and SQL."""

import base64
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

BIN = Path(sys.executable).parent
KEY = base64.b64encode(b"a key for tests, of 32 bytes in all"[:32]).decode()
# What differs between two installations that are told the same: numbers of loads, times of arrival, ciphertexts.
LEDGER = """
    select
        feed, source, checksum, records_read, inserted, duplicate, conflicting, quarantined, earliest_at, latest_at,
        status, published_build_id is not null
    from raw.loads
"""
QUARANTINE = "select feed, source, line, field, reason from raw.quarantine"
VAULT = "select pseudonym, key_version from privacy.vault"


class CommandFailedError(AssertionError):
    """A command that a test expected to succeed did not."""


@dataclass(frozen=True)
class Site:
    """home: its MARKETING_HOME. url: its database on a server that runs, or None for an embedded server of its own."""

    home: Path
    url: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        """The environment of its processes."""
        own = {"MARKETING_HOME": str(self.home), "DAGSTER_HOME": str(self.home / "dagster")}
        if self.url is not None:
            own |= {"WAREHOUSE_URL": self.url, "MARKETING_PSEUDONYM_KEY": KEY, "MARKETING_VAULT_KEY": KEY}
        path = f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {**os.environ, "PATH": path, **own, **self.settings}

    def run(self, *command: str | Path, timeout: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Raises CommandFailedError, with what it said, when check and it fails."""
        done = subprocess.run(
            [str(word) for word in command],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise CommandFailedError(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def start(self, *command: str | Path) -> subprocess.Popen[str]:
        """Start a command in a session of its own; its output is at .stdout."""
        return subprocess.Popen(
            [str(word) for word in command],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def land(self, files: Sequence[Path]) -> None:
        """Put feed files (…/<feed>/<name>) into the landing folder, as their senders do: under a name that waits."""
        for file in files:
            target = self.home / "landing" / file.parent.name / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(file.name + ".part")
            shutil.copyfile(file, part)
            part.rename(target)

    def connect(self) -> psycopg.Connection:
        """A session in its warehouse, in autocommit."""
        url = self.url or self.run("marketing", "warehouse", "url").stdout.strip()
        return psycopg.connect(url, autocommit=True)

    def contents(self) -> dict[str, tuple[int, str]]:
        """Rows and fingerprint of everything that two installations told the same must agree in."""
        with self.connect() as connection:
            queries = {"raw.loads": LEDGER, "raw.quarantine": QUARANTINE, "privacy.vault": VAULT}
            for schema, table, columns in _tables(connection):
                if f"{schema}.{table}" not in ("raw.loads", "raw.quarantine", "raw.shadowed"):
                    names = sql.SQL(", ").join(map(sql.Identifier, columns))
                    query = sql.SQL("select {} from {}").format(names, sql.Identifier(schema, table))
                    queries[f"{schema}.{table}"] = query.as_string()
            return {name: _fingerprint(connection, query) for name, query in queries.items()}


def kill(process: subprocess.Popen) -> bool:
    """kill -9 a process and everything that it started in its session; False when it had ended by then."""
    # Once it was waited for, its number may be another's.
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


def _tables(connection: psycopg.Connection) -> list[tuple[str, str, list[str]]]:
    return connection.execute(
        """
        select table_schema, table_name, array_agg(column_name::text order by ordinal_position)
        from information_schema.columns
        inner join information_schema.tables using (table_schema, table_name)
        where
            table_schema in ('raw', 'marts')
            and table_type = 'BASE TABLE'
            and column_name <> 'load_id'
        group by table_schema, table_name
        order by table_schema, table_name
        """
    ).fetchall()


def _fingerprint(connection: psycopg.Connection, query: str) -> tuple[int, str]:
    return connection.execute(
        f"""
        select count(*), coalesce(md5(string_agg(told::text, chr(10) order by told::text collate "C")), '')
        from ({query}) as told
        """
    ).fetchone()
