"""Loads that are held, accepted and withdrawn: holding one must never hide what a good one also said."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.warehouse import Warehouse, WarehouseError, ledger
from tests.feed_records import COMPLETE, write_jsonl
from tests.loading import check_ledger, counts, empty, ingest, query, touches


class Sender:
    """Sends files of one feed, each of which makes a load."""

    def __init__(self, warehouse: Warehouse, folder: Path, feed: str = "touchpoints") -> None:
        self.warehouse = warehouse
        self._folder = folder
        self._feed = feed
        self._files = 0

    def send(self, *records: dict[str, Any]) -> int:
        """The load_id of these records' file."""
        self._files += 1
        path = write_jsonl(self._folder, self._feed, records, f"{self._files}.jsonl")
        (report,) = ingest(self.warehouse, path)
        assert report.load_id is not None
        return report.load_id

    def hold(self, *load_ids: int) -> None:
        with self.warehouse.connect() as connection:
            ledger.hold(connection, load_ids, "it looks wrong")

    def accept(self, load_id: int) -> None:
        with self.warehouse.connect() as connection:
            ledger.accept(connection, load_id)

    def withdraw(self, load_id: int) -> None:
        with self.warehouse.connect() as connection:
            ledger.withdraw(connection, load_id)

    def publish(self) -> None:
        """As a build does with the loads that it saw: claim, publish, drop the shadows of published rows."""
        with self.warehouse.connect() as connection:
            build_id = connection.execute(
                "insert into ops.builds (as_of, status, is_full, policy_sha256, code_sha256, requested_by) "
                "values (now(), 'published', true, '', '', 'a test') returning build_id"
            ).fetchone()[0]
            connection.execute(
                "update raw.loads set claimed_build_id = %(build)s, published_build_id = %(build)s "
                "where published_build_id is null and status in ('loaded', 'accepted')",
                {"build": build_id},
            )
            connection.execute(
                "delete from raw.shadowed using raw.loads "
                "where loads.load_id = owner_load_id and loads.published_build_id is not null"
            )

    def owners(self) -> dict[str, tuple[int, str]]:
        """event_id → (its load, its channel)."""
        found = query(self.warehouse, "select event_id, load_id, channel from raw.touchpoints")
        return {event_id: (load_id, channel) for event_id, load_id, channel in found}

    def visible(self) -> dict[str, str]:
        """event_id → channel of the rows that the next build would see."""
        return dict(
            query(
                self.warehouse,
                "select event_id, channel from raw.touchpoints inner join raw.loads using (load_id) "
                "where status in ('loaded', 'accepted')",
            )
        )

    def shadows(self) -> list[tuple[int, int]]:
        """(load, owner) of each shadow."""
        return query(self.warehouse, "select load_id, owner_load_id from raw.shadowed order by shadow_id")


@pytest.fixture
def sender(warehouse: Warehouse, tmp_path: Path) -> Sender:
    return Sender(warehouse, tmp_path)


def touch(number: int, channel: str) -> dict[str, Any]:
    return COMPLETE["touchpoints"] | {"event_id": f"t-{number}", "channel": channel, "extra": channel}


def test_a_held_load_hands_over_what_a_good_load_also_said(sender: Sender):
    bad, good = sender.send(touch(1, "bad"), touch(2, "bad")), sender.send(touch(1, "good"), touch(3, "good"))
    sender.hold(bad)
    assert sender.owners() == {"t-1": (good, "good"), "t-2": (bad, "bad"), "t-3": (good, "good")}
    assert sender.visible() == {"t-1": "good", "t-3": "good"}
    assert query(sender.warehouse, "select properties from raw.touchpoints where event_id = 't-1'") == [
        ({"extra": "good"},)
    ]
    check_ledger(sender.warehouse)


def test_a_good_load_that_comes_after_the_holding_is_seen_at_once(sender: Sender):
    bad = sender.send(touch(1, "bad"), touch(2, "bad"))
    sender.hold(bad)
    good = sender.send(touch(1, "good"), touch(1, "later"))
    assert sender.owners() == {"t-1": (good, "good"), "t-2": (bad, "bad")}
    check_ledger(sender.warehouse)


def test_of_two_held_loads_neither_hands_rows_to_the_other(sender: Sender):
    first, second = sender.send(touch(1, "first")), sender.send(touch(1, "second"))
    sender.hold(first, second)
    assert sender.owners() == {"t-1": (first, "first")}
    third = sender.send(touch(1, "third"))
    assert sender.owners() == {"t-1": (third, "third")}
    assert sender.visible() == {"t-1": "third"}


def test_the_first_good_load_of_several_takes_over(sender: Sender):
    bad, second, third = (sender.send(touch(1, name)) for name in ("bad", "second", "third"))
    sender.hold(bad)
    assert sender.owners() == {"t-1": (second, "second")}
    sender.hold(second)
    assert sender.owners() == {"t-1": (third, "third")}
    sender.hold(third)
    assert sender.owners() == {"t-1": (third, "third")}
    assert sender.visible() == {}
    check_ledger(sender.warehouse)


def test_an_accepted_load_is_seen_again(sender: Sender):
    bad = sender.send(touch(1, "odd"))
    sender.hold(bad)
    assert sender.visible() == {}
    sender.accept(bad)
    assert sender.visible() == {"t-1": "odd"}
    assert query(sender.warehouse, "select status, claimed_build_id from raw.loads") == [("accepted", None)]


def test_an_accepted_load_takes_over_what_held_loads_keep_from_sight(sender: Sender):
    """Otherwise its build would show less than it said, and no later one would look at it again."""
    first, second = sender.send(touch(1, "first")), sender.send(touch(1, "second"), touch(2, "second"))
    sender.hold(first, second)
    sender.accept(second)
    assert sender.visible() == {"t-1": "second", "t-2": "second"}
    assert sender.owners() == {"t-1": (second, "second"), "t-2": (second, "second")}
    check_ledger(sender.warehouse)
    sender.publish()
    sender.withdraw(first)
    assert sender.visible() == {"t-1": "second", "t-2": "second"}


def test_a_published_load_that_is_handed_rows_is_new_to_the_next_build(sender: Sender):
    """A build looks only at the rows of loads that are not published yet."""
    first, second = sender.send(touch(1, "first")), sender.send(touch(1, "second"), touch(2, "second"))
    sender.hold(first, second)
    # Seen again, but without the row that it shadows.
    query(sender.warehouse, "update raw.loads set status = 'accepted' where load_id = %s returning 1", second)
    sender.publish()
    sender.withdraw(first)
    assert sender.owners()["t-1"][0] == second
    published = query(sender.warehouse, "select published_build_id from raw.loads where load_id = %s", second)
    assert published == [(None,)]


def test_a_withdrawn_load_leaves_nothing_and_may_come_again(sender: Sender, tmp_path: Path):
    path = write_jsonl(tmp_path / "other", "touchpoints", [touch(1, "bad"), touch(2, "bad"), b"{"])
    bad = ingest(sender.warehouse, path)[0].load_id
    good = sender.send(touch(1, "good"))
    sender.hold(bad)
    sender.withdraw(bad)
    assert sender.owners() == {"t-1": (good, "good")}
    assert sender.shadows() == []
    assert query(sender.warehouse, "select count(*) from raw.quarantine") == [(0,)]
    check_ledger(sender.warehouse)
    assert counts(ingest(sender.warehouse, path)[0]) == (3, 1, 1, 1, 1)


def test_a_withdrawn_load_hands_its_rows_even_to_a_held_one(sender: Sender):
    """Otherwise accepting the second would bring back less than it said."""
    first, second = sender.send(touch(1, "first")), sender.send(touch(1, "second"))
    sender.hold(first, second)
    sender.withdraw(first)
    assert sender.owners() == {"t-1": (second, "second")}
    sender.accept(second)
    assert sender.visible() == {"t-1": "second"}
    check_ledger(sender.warehouse)


def test_versions_and_keys_with_nulls_are_handed_over_too(warehouse: Warehouse, tmp_path: Path):
    spend = COMPLETE["ad_spend"] | {"campaign_id": None, "extra": {"a": [1, "é"]}}
    sender = Sender(warehouse, tmp_path, "ad_spend")
    bad, good = sender.send(spend, spend | {"cost_cents": 7}), sender.send(spend)
    before = query(warehouse, "select to_jsonb(ad_spend) - 'load_id' from raw.ad_spend where cost_cents <> 7")
    sender.hold(bad)
    after = query(warehouse, "select to_jsonb(ad_spend) - 'load_id', load_id from raw.ad_spend where cost_cents <> 7")
    assert after == [(before[0][0], good)]
    check_ledger(warehouse)


def test_what_is_published_is_shadowed_no_more(sender: Sender):
    """Shadows of all that was ever sent again would grow without end."""
    sender.send(*touches(3))
    assert sender.shadows() == []
    sender.send(*touches(3), touch(9, "new"))
    assert len(sender.shadows()) == 3
    sender.publish()
    sender.send(*touches(3), touch(10, "new"))
    assert sender.shadows() == []


@pytest.mark.parametrize("action", ["accept", "withdraw"])
def test_only_a_held_load_is_accepted_or_withdrawn(sender: Sender, action: str):
    """Rows of a published load are in the marts: taking them back is another thing."""
    load_id = sender.send(touch(1, "x"))
    with pytest.raises(WarehouseError, match=f"load {load_id} is not held but loaded"):
        getattr(sender, action)(load_id)
    with pytest.raises(WarehouseError, match="there is no load 99"):
        getattr(sender, action)(99)


def test_loads_are_listed_newest_first(sender: Sender):
    loads = [sender.send(touch(n, "x")) for n in range(3)]
    sender.hold(loads[1])
    with sender.warehouse.connect() as connection:
        assert [load.load_id for load in ledger.loads(connection)] == loads[::-1]
        assert [load.load_id for load in ledger.loads(connection, limit=1)] == [loads[2]]
        (held,) = ledger.loads(connection, status="held")
    assert (held.load_id, held.reason, held.inserted) == (loads[1], "it looks wrong", 1)


def test_a_load_is_seen_by_its_lock(sender: Sender):
    with sender.warehouse.connect() as connection, sender.warehouse.connect() as other:
        assert not ledger.is_loading(other)
        ledger.lock_feed(connection, "users")
        assert ledger.is_loading(other)


def test_a_hold_during_a_load_misses_nothing(sender: Sender, monkeypatch: pytest.MonkeyPatch):
    """The load may look at its rows' owners before the hold, and commit its shadows after it."""
    bad = sender.send(touch(1, "bad"))
    close = ledger.close_load
    holding = []

    def close_then_hold(*arguments: Any, **options: Any) -> None:
        close(*arguments, **options)
        holding.append(pool.submit(sender.hold, bad))

    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(ledger, "close_load", close_then_hold)
        good = sender.send(touch(1, "good"))
        holding[0].result(timeout=30)
    assert sender.owners() == {"t-1": (good, "good")}


STEPS = st.one_of(
    st.tuples(st.just("send"), st.lists(st.integers(0, 3), min_size=1, max_size=4)),
    st.tuples(st.sampled_from(["hold", "accept", "withdraw"]), st.integers(0, 5)),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=3, max_size=12))
def test_whatever_is_held_the_visible_keys_are_those_of_the_visible_loads(
    module_warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]]
):
    """No order of sending, holding, accepting and withdrawing may lose a key or show one twice."""
    empty(module_warehouse)
    sender = Sender(module_warehouse, tmp_path_factory.mktemp("steps"))
    told: dict[int, set[str]] = {}
    status: dict[int, str] = {}
    for step, argument in steps:
        if step == "send":
            load_id = sender.send(
                *(touch(number, f"c{len(told)}") for number in argument), touch(100 + len(told), "own")
            )
            told[load_id] = {f"t-{number}" for number in [*argument, 100 + len(told)]}
            status[load_id] = "loaded"
            continue
        possible = [
            load_id for load_id, now in status.items() if (now == "held") == (step != "hold") and now != "withdrawn"
        ]
        if possible:
            load_id = possible[argument % len(possible)]
            getattr(sender, step)(load_id)
            status[load_id] = {"hold": "held", "accept": "accepted", "withdraw": "withdrawn"}[step]
    visible = {load_id for load_id, now in status.items() if now in ("loaded", "accepted")}
    assert set(sender.visible()) == set().union(*(told[load_id] for load_id in visible))
    kept = {load_id for load_id, now in status.items() if now != "withdrawn"}
    assert set(sender.owners()) == set().union(*(told[load_id] for load_id in kept))
    check_ledger(module_warehouse)
