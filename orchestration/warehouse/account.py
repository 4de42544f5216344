"""The account that the server's processes run as.

PostgreSQL refuses to run as root: started by root, its programs run as an unprivileged account.
"""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import WarehouseError

UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """uid and gid for child processes; None where the own account will do."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def for_data(cls, data_dir: Path) -> "Account":
        """The owner of existing data when run by root, else `postgres` or `nobody`; oneself when not root.

        Raises WarehouseError where data belong to another user, or root finds no unprivileged account.
        """
        owner = data_dir.stat().st_uid if data_dir.exists() else None
        if os.geteuid() != 0:
            if owner not in (None, os.geteuid()):
                raise WarehouseError(
                    f"{data_dir} belongs to user {_name(owner)}, not to {_name(os.geteuid())}: run as that user, "
                    "or set MARKETING_HOME to a directory of your own"
                )
            return cls()
        if owner:
            return cls(owner, data_dir.stat().st_gid)
        for name in UNPRIVILEGED:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        raise WarehouseError(
            f"PostgreSQL does not run as root, and none of the accounts {', '.join(UNPRIVILEGED)} exists: "
            "run as an ordinary user, or set WAREHOUSE_URL to a server of your own"
        )

    def own(self, path: Path) -> None:
        """Give a file or directory to this account."""
        if self.uid is not None:
            os.chown(path, self.uid, self.gid if self.gid is not None else -1, follow_symlinks=False)

    def run(self, command: Sequence[str | Path], *, cwd: Path | str = "/", **options) -> subprocess.CompletedProcess:
        """subprocess.run as this account, in its own session, with nothing of libpq's environment."""
        options.setdefault("stdin", subprocess.DEVNULL)
        identity = {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}
        try:
            return subprocess.run(
                [str(word) for word in command],
                check=False,
                cwd=cwd,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                start_new_session=True,
                **identity,
                **options,
            )
        except PermissionError as error:
            if self.uid is None or error.filename == str(command[0]):
                raise
            raise WarehouseError(
                f"cannot run PostgreSQL as user {_name(self.uid)} ({error.strerror}): run as an ordinary user, "
                "or set WAREHOUSE_URL to a server of your own"
            ) from error

    def can_enter(self, directory: Path) -> bool:
        """Whether this account reaches the directory by its path."""
        return self.run(["/bin/sh", "-c", 'cd -- "$0"', directory], stderr=subprocess.DEVNULL).returncode == 0


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
