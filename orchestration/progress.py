"""What a person sees while files load: a bar for the file at hand, on a terminal only."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from orchestration.ingest.loader import Progress as FileProgress


class IngestProgress:
    """Called with each step of ingest; used as a context manager."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[records]:,} records"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("", records=0)
        self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._progress.stop()

    def __call__(self, step: FileProgress) -> None:
        """Show how far the file is."""
        # Not before: a bar that never moved would leave an empty line above an error.
        self._progress.start()
        if step.file != self._file:
            self._file = step.file
            self._progress.reset(self._task, description=f"{step.file.feed}/{step.file.path.name}", records=0)
        self._progress.update(
            self._task, completed=step.bytes_read, total=max(step.bytes_total, 1), records=step.records
        )
