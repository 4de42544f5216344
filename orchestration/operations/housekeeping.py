"""Deletes files that nobody will read again."""

import os
import shutil
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path


def remove_older(paths: Iterable[Path], *, days: int, now: datetime) -> int:
    """Delete the files and folders that last changed more than so many days before now; returns their number."""
    limit = (now - timedelta(days=days)).timestamp()
    removed = 0
    for path in paths:
        try:
            if path.lstat().st_mtime >= limit:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        except FileNotFoundError:
            continue  # its writer was faster
        removed += 1
    return removed


def rotate(log: Path, *, limit_bytes: int) -> bool:
    """Empty a log that has grown beyond the limit, its content being kept beside it as <name>.1; whether it had.

    Its writers have it open for appending, so they go on at its new end.
    """
    if log.stat().st_size <= limit_bytes:
        return False
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    os.truncate(log, 0)
    return True
