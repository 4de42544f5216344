"""Of what people are told past the outbox, and until when."""

from datetime import UTC, datetime, timedelta

from orchestration.alerts.troubles import Fault, Outage, Trouble, due, noticed, tried

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
GONE = Trouble.UNREACHABLE
FAULT = Fault(since=NOW, text="OperationalError")


def seen(outages: tuple[Outage, ...], fault: Fault | None, minute: float) -> tuple[Outage, ...]:
    return noticed(
        outages,
        {GONE: fault},
        patience={GONE: 5 * MINUTE},
        channels=("slack", "pager"),
        key=lambda trouble, since: f"{trouble}/{since}",
        now=NOW + minute * MINUTE,
    )


def told(outage: Outage, channel: str, *, is_over: bool = False, again_at: datetime | None = None) -> Outage:
    return tried(outage, channel, is_over=is_over, again_at=again_at, give_up=DAY)


def test_what_lasts_is_told_once_it_has_lasted_and_not_begun_twice():
    assert seen((), FAULT, 4) == ()
    (outage,) = begun = seen((), FAULT, 5)
    assert seen(begun, FAULT, 6) == begun
    assert due(outage, NOW) == [("slack", False), ("pager", False)]


def test_each_channel_is_tried_until_it_has_heard_whatever_others_have():
    """Prevents a page that is lost because a chat took its own message."""
    (outage,) = seen((), FAULT, 5)
    outage = told(told(outage, "slack"), "pager", again_at=NOW + 7 * MINUTE)
    assert due(outage, NOW + 6 * MINUTE) == []
    assert due(outage, NOW + 7 * MINUTE) == [("pager", False)]
    assert due(told(outage, "pager"), NOW + 8 * MINUTE) == []


def test_the_end_comes_after_the_beginning_and_is_tried_until_it_is_taken():
    """Prevents an incident that stays open at a receiver which was busy for a moment."""
    (outage,) = seen((), FAULT, 5)
    (over,) = seen((told(outage, "slack"),), None, 9)
    assert due(over, NOW) == [("slack", True), ("pager", False)]
    over = told(told(over, "pager"), "slack", is_over=True, again_at=NOW + 10 * MINUTE)
    assert due(over, NOW + 10 * MINUTE) == [("slack", True), ("pager", True)]
    assert not over.is_settled
    over = told(told(over, "slack", is_over=True), "pager", is_over=True)
    assert over.is_settled


def test_what_is_too_old_is_given_up():
    (outage,) = seen((), FAULT, 5)
    assert due(told(outage, "slack", again_at=NOW + DAY - MINUTE), NOW + DAY) == [("slack", False), ("pager", False)]
    assert due(told(outage, "slack", again_at=NOW + DAY), NOW + DAY) == [("pager", False)]


def test_an_outage_after_another_is_one_of_its_own_though_the_end_of_the_first_still_waits():
    first = seen(seen((), FAULT, 5), None, 6)
    both = seen(first, Fault(since=NOW + 20 * MINUTE, text="x"), 25)
    assert len({one.key for one in both}) == 2
    assert [one.ended_at is None for one in both] == [False, True]


def test_of_what_nothing_is_known_stays_as_it_is():
    begun = seen((), FAULT, 5)
    assert noticed(begun, {}, patience={}, channels=(), key=lambda *_: "", now=NOW + DAY) == begun
