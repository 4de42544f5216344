"""Files that other users must not read and that no kill may leave half-written."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import WarehouseError


def write_private(path: Path, text: str) -> Path:
    """Replace path by a file of mode 0600 with this text, in one step; returns path."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
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
