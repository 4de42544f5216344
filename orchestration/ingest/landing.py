"""The landing folder: what waits in it, and where files go when they are done with.

landing/<feed>/<file> waits; landing/.done/<feed>/ keeps loaded files for a while; landing/.failed/<feed>/ keeps
files that could not be read, each with its reason beside it, until someone mends or removes them.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from .readers import has_known_format
from .records import FEEDS

DONE = ".done"
FAILED = ".failed"
UNFINISHED_SUFFIXES = (".part", ".tmp")
REASON_SUFFIX = ".reason.txt"
FORMATS = "its name must end in .jsonl, .jsonl.gz, .csv, .csv.gz or .parquet"


class WrongUsageError(Exception):
    """A path that cannot be ingested; the message says what is expected."""


@dataclass(frozen=True)
class FeedFile:
    """A file and the feed whose records it holds."""

    feed: str
    path: Path


def is_finished(name: str) -> bool:
    """Whether a file's name says that its writer is done with it."""
    return not name.startswith(".") and not name.endswith(UNFINISHED_SUFFIXES)


def waiting_files(landing: Path) -> list[FeedFile]:
    """Finished files in the landing folder, by feed and name; other folders and formats are left alone."""
    return [file for feed in FEEDS if (folder := landing / feed).is_dir() for file in _in_folder(feed, folder)]


def stray_files(landing: Path) -> list[str]:
    """Finished files below the landing folder that look as if they were meant, and nobody will ever load: each with
    what is wrong with it."""
    strays = []
    for path in sorted(landing.glob("*")) + sorted(landing.glob("*/*")):
        name = path.relative_to(landing)
        if path.is_dir() or not all(map(is_finished, name.parts)):
            continue
        in_feed = len(name.parts) > 1 and name.parts[0] in FEEDS
        if in_feed and not has_known_format(path):
            strays.append(f"{name}: {FORMATS}")
        elif not in_feed and has_known_format(path):
            strays.append(f"{name} lies in no feed's folder ({', '.join(FEEDS)})")
    return strays


def given_files(paths: Iterable[Path]) -> list[FeedFile]:
    """The files that these paths name: a file's feed is its parent folder's name; a folder may be a feed's, or hold
    feeds' folders.

    Raises WrongUsageError for a path that does not exist, an unknown feed or format, a folder without feeds.
    """
    files: list[FeedFile] = []
    for path in paths:
        path = path.resolve()
        if path.is_file():
            files.append(_given_file(path))
        elif path.is_dir():
            files.extend(_given_folder(path))
        else:
            raise WrongUsageError(f"{path} does not exist")
    return list(dict.fromkeys(files))


def _given_file(path: Path) -> FeedFile:
    if path.parent.name not in FEEDS:
        raise WrongUsageError(f"{path}: its folder must be named after its feed, one of {', '.join(FEEDS)}")
    if not has_known_format(path):
        raise WrongUsageError(f"{path}: {FORMATS}")
    return FeedFile(path.parent.name, path)


def _given_folder(path: Path) -> Iterator[FeedFile]:
    if path.name in FEEDS:
        yield from _in_folder(path.name, path)
        return
    feeds = [feed for feed in FEEDS if (path / feed).is_dir()]
    if not feeds:
        raise WrongUsageError(f"{path} holds no folder named after a feed ({', '.join(FEEDS)})")
    for feed in feeds:
        yield from _in_folder(feed, path / feed)


def _in_folder(feed: str, folder: Path) -> Iterator[FeedFile]:
    for path in sorted(folder.iterdir()):
        if is_finished(path.name) and has_known_format(path) and path.is_file():
            yield FeedFile(feed, path)


def move_to_done(landing: Path, file: FeedFile, checksum: str) -> None:
    """Put a loaded file away. Repeating it, as after a kill, does no harm; a file already moved is passed over."""
    target = landing / DONE / file.feed / f"{checksum[:12]}-{file.path.name}"
    _make_private(target.parent)
    try:
        file.path.replace(target)
    except FileNotFoundError:
        return
    # Its age counts from now on, whatever its writer says.
    os.utime(target)


def move_to_failed(landing: Path, file: FeedFile, checksum: str, reason: str) -> None:
    """Put an unreadable file aside, with its reason beside it."""
    target = landing / FAILED / file.feed / f"{checksum[:12]}-{file.path.name}"
    _make_private(target.parent)
    target.with_name(target.name + REASON_SUFFIX).write_text(reason + "\n")
    file.path.replace(target)


def _make_private(folder: Path) -> None:
    """Files here still hold addresses, whatever their own mode says: only their owner may enter."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)


def purge_done(landing: Path, *, retention_days: int, now: datetime) -> int:
    """Delete loaded files older than that; returns their number."""
    limit = (now - timedelta(days=retention_days)).timestamp()
    purged = 0
    for path in (landing / DONE).glob("*/*"):
        if path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)
            purged += 1
    return purged
