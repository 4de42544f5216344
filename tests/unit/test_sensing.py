"""When the landing sensor asks for a run, and when it keeps still."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from orchestration.ingest.sensing import FIRST_BACK_OFF, LONGEST_BACK_OFF, Cursor, Decision, Waiting, decide

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
TICK = timedelta(seconds=30)


def waiting(*names: str, age: timedelta = timedelta(minutes=1)) -> list[Waiting]:
    return [Waiting(name, 10, NOW - age) for name in names]


def asked(
    files: list[Waiting], cursor: Cursor | None = None, now: datetime = NOW, *, loading: bool = False
) -> Decision:
    return decide(files, cursor or Cursor(), now, loading=loading)


def test_nothing_is_asked_for_while_nothing_waits():
    assert asked([]).run_key is None


def test_one_run_is_asked_for_whatever_the_number_of_files():
    decision = asked(waiting("a", "b", "c"))
    assert decision.run_key is not None
    assert decision.reason == "3 files wait"


def test_a_file_that_is_still_written_to_is_left_for_later():
    fresh = waiting("a", age=timedelta(seconds=4))
    assert asked(fresh).run_key is None
    assert asked(fresh, now=NOW + timedelta(seconds=1)).run_key is not None


def test_a_writer_whose_clock_is_ahead_is_not_waited_for():
    assert asked(waiting("a", age=timedelta(hours=-3))).run_key is not None


def test_nothing_is_asked_for_while_a_load_is_under_way():
    """Each tick of a long load would queue one run more."""
    first = asked(waiting("a"))
    assert asked(waiting("a", "b"), first.cursor, NOW + TICK, loading=True) == Decision(
        None, "a load is under way; it may take these files too", first.cursor
    )


def test_the_same_files_are_asked_for_again_ever_more_rarely():
    """A run that failed, or never started, must not leave its files for ever, nor be repeated at every tick."""
    files, cursor, now, asked_at = waiting("a"), Cursor(), NOW, []
    while now < NOW + timedelta(hours=4):
        decision = asked(files, cursor, now)
        if decision.run_key is not None:
            asked_at.append(now)
        cursor, now = Cursor.parse(str(decision.cursor)), now + TICK
    pauses = [later - earlier for earlier, later in pairwise(asked_at)]
    assert pauses[0] == FIRST_BACK_OFF
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_BACK_OFF


def test_new_files_are_asked_for_at_once():
    first = asked(waiting("a"))
    second = asked(waiting("a", "b"), first.cursor, NOW + TICK)
    assert second.run_key not in (None, first.run_key)


def test_a_file_of_the_same_name_that_comes_again_is_asked_for_again():
    """After a load the file is gone; a run key that were used up would keep its successor waiting for ever."""
    first = asked(waiting("a"))
    gone = asked([], first.cursor, NOW + TICK)
    again = asked(waiting("a"), gone.cursor, NOW + 2 * TICK)
    assert again.run_key not in (None, first.run_key)
