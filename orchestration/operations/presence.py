"""Tells whether the process of a run is still there, for runs that no code server watches over.

The kernel gives a file lock back when its holder dies, however that comes about, and a number that a later
process takes over is no matter, as it would be with process ids.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def present(folder: Path, run_id: str) -> Iterator[None]:
    """Be known as the process of this run for as long as the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / run_id
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink()


def is_gone(folder: Path, run_id: str) -> bool:
    """Whether the run's process was here and died. False for a run of another machine, of which nothing is known."""
    try:
        with (folder / run_id).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError):
        return False
    return True
