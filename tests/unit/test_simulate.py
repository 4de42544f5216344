"""Simulated feed files: the same bytes for the same arguments, in the contract but for the dirt that is counted."""

import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from disposable_email_domains import blocklist

from orchestration.simulate import Summary, World, simulate
from orchestration.simulate.addresses import DISPOSABLE, DISPOSABLE_DOMAIN, address
from orchestration.simulate.world import Dirt
from tests.unit.simulated import EVENT_FEEDS, VERSIONED_FEEDS, good, key, lines_of, newest, problem, time_of

UNTIL = datetime(2026, 3, 31, 9, 30, tzinfo=UTC)
FEEDS = tuple(EVENT_FEEDS | VERSIONED_FEEDS)
DIRTY = World(
    dirt=Dirt(repeated=0.01, resent=0.02, late=0.05, conflicting=0.01, malformed=0.02, skewed=0.02, address_in_utm=0.01)
)


def drawn(out: Path, world: World, *, seed: int = 7, people: int = 250, days: int = 30) -> Summary:
    return simulate(out, people=people, days=days, seed=seed, until=UNTIL, world=world)


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return drawn(tmp_path_factory.mktemp("dirty"), DIRTY)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return drawn(tmp_path_factory.mktemp("clean"), replace(DIRTY, dirt=Dirt.none()))


def fingerprints(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file()
    }


def counts_of(summary: Summary) -> dict[str, dict[str, int]]:
    return json.loads(summary.truth.read_text())["feeds"]


def test_the_same_arguments_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        drawn(tmp_path / name, World(), people=60, days=20)
    first = fingerprints(tmp_path / "one")
    assert first == fingerprints(tmp_path / "two")
    drawn(tmp_path / "one", World(), people=60, days=20)
    assert fingerprints(tmp_path / "one") == first


def test_another_seed_gives_another_world(tmp_path):
    for seed in (1, 2):
        drawn(tmp_path / str(seed), World(), seed=seed, people=60, days=20)
    first, second = (set(fingerprints(tmp_path / seed).values()) for seed in ("1", "2"))
    assert not first & second


@pytest.mark.parametrize("feed", FEEDS)
def test_records_keep_the_contract_except_the_malformed_that_are_counted(dirty, feed):
    counts = counts_of(dirty)[feed]
    lines = [record for _, record in lines_of(dirty.out, feed)]
    broken = [record for record in lines if record is None or problem(feed, record) is not None]
    assert len(broken) == counts["malformed"]
    assert len(lines) == counts["lines"]


def test_every_kind_of_damage_occurs(dirty):
    """An unreadable line, a missing field, a wrong type and a bad word each take another way to quarantine."""
    touches = [record for _, record in lines_of(dirty.out, "touchpoints")]
    fields = Counter("unreadable" if record is None else problem("touchpoints", record) for record in touches)
    assert set(fields) == {None, "unreadable", "event_id", "occurred_at", "interaction"}


@pytest.mark.parametrize("feed", EVENT_FEEDS)
def test_a_key_comes_again_only_as_the_counted_copies(dirty, feed):
    counts = counts_of(dirty)[feed]
    records = [record for _, record in lines_of(dirty.out, feed)]
    whole = [record for record in records if record is not None and problem(feed, record) is None]
    keys = Counter(key(feed, record) for record in whole)
    assert len(keys) == counts["records"]
    assert sum(keys.values()) - len(keys) == counts["repeated"] + counts["resent"] + counts["conflicting"]
    contents: dict[tuple, set[str]] = {}
    for record in whole:
        contents.setdefault(key(feed, record), set()).add(json.dumps(record, sort_keys=True, default=str))
    assert sum(len(found) - 1 for found in contents.values()) == counts["conflicting"]


@pytest.mark.parametrize("feed", FEEDS)
def test_without_dirt_the_same_records_arrive_once_and_unspoiled(dirty, clean, feed):
    """Switching dirt off must not move a single other draw."""
    counts = counts_of(clean)[feed]
    assert counts["lines"] == counts["records"] == counts_of(dirty)[feed]["records"]
    assert {key(feed, one) for one in good(clean.out, feed)} == {key(feed, one) for one in good(dirty.out, feed)}
    if feed in ("users", "conversions", "viral_actions", "ad_spend"):
        spoiled, unspoiled = ({json.dumps(one, sort_keys=True) for one in good(s.out, feed)} for s in (dirty, clean))
        assert unspoiled <= spoiled if feed in VERSIONED_FEEDS else spoiled == unspoiled


def test_late_records_arrive_in_later_files(dirty):
    """Out-of-order arrival is what incremental builds fail on: it has to occur, as often as it is said to."""
    begins = [path.name[:10] for path in sorted((dirty.out / "touchpoints").iterdir())]
    assert len(begins) > 3
    overdue = 0
    for path, record in lines_of(dirty.out, "touchpoints"):
        if record is not None and problem("touchpoints", record) is None:
            overdue += time_of(record["occurred_at"]).date().isoformat() < path.name[:10]
    assert overdue > 0.2 * counts_of(dirty)["touchpoints"]["late"] / len(begins)


def test_only_skewed_clocks_pass_the_end_and_by_less_than_a_day(dirty):
    ahead = 0
    for feed in ("touchpoints", "campaign_events", "integration_events"):
        times = [time_of(record["occurred_at"]) for record in good(dirty.out, feed)]
        assert max(times) < UNTIL + timedelta(days=1)
        ahead += sum(moment > UNTIL for moment in times)
    assert ahead == sum(counts["ahead_of_until"] for counts in counts_of(dirty).values()) > 0
    for feed in ("conversions", "viral_actions", "identities", "refunds", "attribution_truth"):
        assert max(time_of(record["occurred_at"]) for record in good(dirty.out, feed)) <= UNTIL


def test_history_before_the_days_asked_for_is_drawn_too(clean):
    first = min(time_of(record["signed_up_at"]) for record in good(clean.out, "users"))
    assert UNTIL - timedelta(days=30 + 90) <= first < UNTIL - timedelta(days=30 + 80)


def test_every_address_is_nobodys(clean):
    """Reserved domains, or a local part that is too long: for the provider, or, above 64 characters, for any."""
    columns = (("users", "email"), ("campaign_events", "recipient_email"), ("viral_actions", "recipient_email"))
    addresses = {str(record[field]).strip().lower() for feed, field in columns for record in good(clean.out, feed)}
    folding = {one for one in addresses if one.endswith("@gmail.com")}
    disposable = {one for one in addresses if one.endswith(f"@{DISPOSABLE_DOMAIN}")}
    plain = addresses - folding - disposable
    assert all(re.fullmatch(r"[a-z]+\.\d+@example\.(com|org|net)", one) for one in plain)
    assert min(len(one.split("@")[0]) for one in disposable | {address(0, DISPOSABLE, folding=False)}) > 64
    mailboxes = Counter(one.split("@")[0].split("+")[0].replace(".", "") for one in folding)
    assert min(map(len, mailboxes)) > 30
    assert max(mailboxes.values()) > 1, "no mailbox occurs in two spellings"


def test_disposable_addresses_are_of_fake_accounts_alone_and_move_nothing_else(tmp_path):
    """Whoever leaves out what the list names must come nearer to the truth, which stays what it was."""
    truths, records = [], []
    for share in (0.0, 1.0):
        world = replace(World(), dirt=Dirt.none(), fake_accounts=0.5, disposable_fakes=share)
        summary = drawn(tmp_path / str(share), world, people=60, days=20)
        truths.append(json.loads(summary.truth.read_text()) | {"world": None})
        records.append([one for feed in FEEDS for one in good(summary.out, feed)])
    assert truths[0] == truths[1]
    assert DISPOSABLE_DOMAIN in blocklist
    thrown_away = set()
    for before, after in zip(*records, strict=True):
        changed = {name for name in after if after[name] != before[name]}
        assert changed <= {"email", "recipient_email"}
        assert all(str(after[name]).strip().lower().endswith(f"@{DISPOSABLE_DOMAIN}") for name in changed)
        if "email" in changed:
            thrown_away.add(after["user_id"])
    assert len(thrown_away) == truths[0]["people"]["fake_users"] - truths[0]["viral"]["invites_by_kind"]["ring"] > 5


def test_restated_costs_grow_towards_the_last_report(clean):
    reports: dict[tuple, list[tuple[str, int]]] = {}
    for record in good(clean.out, "ad_spend"):
        reports.setdefault(key("ad_spend", record), []).append(
            (str(record.get("updated_at", "")), int(str(record["cost_cents"])))
        )
    restated = [sorted(found) for found in reports.values() if len(found) == 3]
    assert len(restated) > 100
    assert all([cost for _, cost in found] == sorted(cost for _, cost in found) for found in restated)


def test_every_foreign_conversion_has_a_rate_of_the_week_before(clean):
    rates = {(record["currency"], str(record["rate_on"])) for record in newest(clean.out, "exchange_rates")}
    foreign = [one for one in good(clean.out, "conversions") if one.get("currency", "USD") != "USD"]
    assert {one["currency"] for one in foreign} == {"GBP", "EUR", "AUD"}
    for one in foreign:
        day = time_of(one["occurred_at"]).date()
        assert any((one["currency"], (day - timedelta(days=back)).isoformat()) in rates for back in range(8))


def test_summary_and_truth_say_what_was_written(dirty):
    truth = json.loads(dirty.truth.read_text())
    written = {path.relative_to(dirty.out).as_posix() for path in dirty.out.rglob("*") if path.is_file()}
    assert written == {*truth["files"], "truth.json"}
    assert [path.relative_to(dirty.out).as_posix() for path in dirty.files] == truth["files"]
    assert dirty.seed_users == truth["people"]["seed_users"] == 250
    assert dirty.users == len(newest(dirty.out, "users")) == truth["people"]["users"]
    assert dirty.lines == {feed: counts["lines"] for feed, counts in truth["feeds"].items()}


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"people": 0}, "people"),
        ({"days": 0}, "days"),
        ({"seed": -1}, "seed"),
        ({"until": UNTIL.replace(tzinfo=None)}, "until"),
    ],
)
def test_impossible_arguments_are_named(tmp_path, wrong, names):
    arguments = {"people": 10, "days": 10, "seed": 1, "until": UNTIL} | wrong
    with pytest.raises(ValueError, match=names):
        simulate(tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"refund_share": 1.5}, "refund_share"),
        ({"connector_share": 0.5}, "connector_share"),
        ({"k": -1.0}, "k: "),
        ({"dirt": Dirt(skew_hours=25)}, "skew_hours"),
        ({"channels": ()}, "channels"),
    ],
)
def test_impossible_worlds_are_named(wrong, names):
    with pytest.raises(ValueError, match=names):
        replace(World(), **wrong)
