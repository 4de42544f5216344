"""Files that no kill may leave half-written, and those that other users must not read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from .errors import WarehouseError


def write_private(path: Path, text: str) -> Path:
    """Replace path by a file of mode 0600 with this text, in one step; returns path."""
    return write_whole(path, text, mode=0o600)


def write_whole(path: Path, text: str, *, mode: int = 0o666) -> Path:
    """Replace path by a file with this text (UTF-8), in one step; returns path. mode: less what the umask forbids."""
    unfinished = path.with_name(f".{path.name}-{token_hex(4)}.tmp")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink()
        raise
    return path


@contextmanager
def owners_only() -> Iterator[None]:
    """Around the use of files under MARKETING_HOME: says whose they are instead of a bare PermissionError."""
    try:
        yield
    except PermissionError as error:
        raise WarehouseError(
            f"this user may not use {error.filename}: run as the user who made it, "
            "or set MARKETING_HOME to a directory of your own"
        ) from error
