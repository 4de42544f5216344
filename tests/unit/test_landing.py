"""Which files wait, which feed a path belongs to, and where files go."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.ingest.landing import (
    FeedFile,
    WrongUsageError,
    given_files,
    move_to_done,
    move_to_failed,
    purge_done,
    stray_files,
    waiting_files,
)


def touched(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_only_finished_feed_files_wait(tmp_path: Path):
    wanted = [touched(tmp_path / "users" / "b.csv"), touched(tmp_path / "touchpoints" / "a.jsonl.gz")]
    for name in ("touchpoints/.a.jsonl", "touchpoints/a.jsonl.part", "touchpoints/a.jsonl.tmp", "touchpoints/notes.txt",
                 "no_feed/a.jsonl", ".done/touchpoints/a.jsonl", "touchpoints/deeper/a.jsonl", "a.jsonl",
                 "truth.json"):  # fmt: skip
        touched(tmp_path / name)
    assert {file.path for file in waiting_files(tmp_path)} == set(wanted)
    assert waiting_files(tmp_path / "missing") == []
    assert [stray.split()[0].rstrip(":") for stray in stray_files(tmp_path)] == [
        "a.jsonl", "no_feed/a.jsonl", "touchpoints/notes.txt",
    ]  # fmt: skip
    assert stray_files(tmp_path / "missing") == []


def test_a_path_is_a_file_a_feeds_folder_or_a_folder_of_feeds(tmp_path: Path):
    users, touch = touched(tmp_path / "users" / "a.csv"), touched(tmp_path / "touchpoints" / "a.jsonl")
    assert given_files([users]) == given_files([tmp_path / "users"]) == [FeedFile("users", users)]
    assert given_files([tmp_path]) == [FeedFile("touchpoints", touch), FeedFile("users", users)]
    assert given_files([users, tmp_path]) == [FeedFile("users", users), FeedFile("touchpoints", touch)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.csv", "does not exist"),
        ("other/a.csv", "must be named after its feed, one of campaigns"),
        ("users/a.xlsx", "must end in .jsonl"),
        ("other", "holds no folder named after a feed"),
    ],
)
def test_a_path_that_names_no_feed_is_refused(tmp_path: Path, name: str, words: str):
    touched(tmp_path / "other" / "a.csv")
    touched(tmp_path / "users" / "a.xlsx")
    with pytest.raises(WrongUsageError, match=words):
        given_files([tmp_path / name])


def test_files_of_one_name_do_not_replace_each_other_when_done(tmp_path: Path):
    for checksum, text in (("a" * 64, "first"), ("b" * 64, "second")):
        move_to_done(tmp_path, FeedFile("users", touched(tmp_path / "users" / "x.csv", text)), checksum)
    assert {path.read_text() for path in (tmp_path / ".done" / "users").iterdir()} == {"first", "second"}
    assert waiting_files(tmp_path) == []


def test_moving_a_file_that_another_loader_moved_does_no_harm(tmp_path: Path):
    move_to_done(tmp_path, FeedFile("users", tmp_path / "users" / "gone.csv"), "c" * 64)


def test_a_refused_file_has_its_reason_beside_it(tmp_path: Path):
    file = FeedFile("users", touched(tmp_path / "users" / "x.csv", "?"))
    move_to_failed(tmp_path, file, "d" * 64, "its header is wrong")
    kept = {path.name: path.read_text() for path in (tmp_path / ".failed" / "users").iterdir()}
    assert kept == {"dddddddddddd-x.csv": "?", "dddddddddddd-x.csv.reason.txt": "its header is wrong\n"}
    assert waiting_files(tmp_path) == []


def test_loaded_files_are_deleted_once_they_are_old(tmp_path: Path):
    """Its age counts from its loading: a file may have been written long before."""
    for name in ("old.csv", "new.csv"):
        move_to_done(tmp_path, FeedFile("users", touched(tmp_path / "users" / name)), name[0] * 64)
    now = datetime.now(UTC)
    assert purge_done(tmp_path, retention_days=7, now=now + timedelta(days=6)) == 0
    assert purge_done(tmp_path, retention_days=7, now=now + timedelta(days=8)) == 2
    assert list((tmp_path / ".done" / "users").iterdir()) == []
