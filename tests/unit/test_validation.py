"""Records against their contract: what is taken, what is refused and in which words, and that both ways agree."""

import math
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.channels import CHANNELS
from orchestration.ingest.examination import MAX_NESTING, Examiner, RejectedError
from orchestration.ingest.lines import read_blocks
from orchestration.ingest.records import FEEDS, channel_name
from orchestration.ingest.validation import Checked, Form, Validator
from orchestration.privacy.pseudonyms import Pseudonyms
from tests.feed_records import AT, COMPLETE, KEY, NOW, drawn_records, line

PSEUDONYMS = Pseudonyms(KEY)
ADA = PSEUDONYMS.of("ada@example.com")[0]


def check(feed: str, *sources: bytes | dict[str, Any], frozen_before: date | None = None) -> Checked:
    """These records, JSON texts or dicts that become such, as one batch."""
    texts = [source if isinstance(source, bytes) else line(source) for source in sources]
    validator = Validator(FEEDS[feed], PSEUDONYMS, now=NOW, frozen_before=frozen_before)
    return validator.check(range(1, len(texts) + 1), texts)


def reason(feed: str, record: bytes | dict[str, Any], **options: Any) -> str:
    """Why the only record is rejected."""
    checked = check(feed, record, **options)
    assert (checked.count, len(checked.rejected)) == (0, 1)
    return checked.rejected[0].reason


def changed(feed: str, **fields: Any) -> dict[str, Any]:
    """The feed's complete record with other fields; ... takes one away."""
    return {name: value for name, value in (COMPLETE[feed] | fields).items() if value is not ...}


def value(checked: Checked, column: str) -> Any:
    assert checked.rejected == []
    (only,) = checked.columns[column]
    return only


@pytest.mark.parametrize("feed", FEEDS)
def test_a_complete_record_fills_every_column(feed: str):
    """A contract field that never reaches its column would be lost in silence."""
    checked = check(feed, COMPLETE[feed])
    assert [*checked.columns, "load_id"] == list(FEEDS[feed].columns)
    assert [name for name, (only,) in checked.columns.items() if only is None] == ["properties"]


@pytest.mark.parametrize("feed", FEEDS)
def test_the_least_record_is_enough(feed: str):
    """An optional field must not become a required one."""
    needed = {name for name, field in FEEDS[feed].fields.items() if field.required} | set(FEEDS[feed].one_of[:1])
    checked = check(feed, {name: COMPLETE[feed][name] for name in needed})
    assert checked.count == 1


@pytest.mark.parametrize(
    ("feed", "name"), [(f, n) for f, feed in FEEDS.items() for n, x in feed.fields.items() if x.required]
)
def test_a_required_field_is_missed_whether_absent_null_or_empty(feed: str, name: str):
    for record in (changed(feed, **{name: ...}), changed(feed, **{name: None}), changed(feed, **{name: ""})):
        rejected = check(feed, record).rejected
        assert [one.field for one in rejected] == [name]
        assert rejected[0].reason == f"{name}: missing, expected {FEEDS[feed].fields[name].expected}"


@pytest.mark.parametrize(
    ("feed", "fields", "words"),
    [
        ("touchpoints", {"interaction": "teleported"}, 'found "teleported", expected one of impression, click, visit'),
        (
            "touchpoints",
            {"occurred_at": "2026-06-01T10:00:00"},
            'found "2026-06-01T10:00:00", expected an RFC 3339 time',
        ),
        ("touchpoints", {"occurred_at": 1_780_000_000}, "found 1780000000, expected an RFC 3339 time"),
        ("touchpoints", {"occurred_at": "1969-12-31T23:59:59Z"}, "from 1970 on"),
        ("touchpoints", {"event_id": 5}, "found 5, expected text of 1 to 256 bytes in UTF-8"),
        ("touchpoints", {"event_id": "x" * 257}, "found text of 257 bytes"),
        ("touchpoints", {"utm_source": "x" * 10_001}, "found text of 10001 characters"),
        ("touchpoints", {"user_id": ..., "anonymous_id": ""}, "expected at least one of user_id, anonymous_id"),
        ("touchpoints", {"event_id": "a\0b"}, "holds a NUL character"),
        ("touchpoints", {"extra": {"deep": "a\0b"}}, "properties: holds a NUL character"),
        ("conversions", {"revenue_cents": -1}, "found -1, expected a whole number of cents, 0 or more"),
        ("conversions", {"revenue_cents": 12.5}, "found 12.5, expected a whole number"),
        ("conversions", {"revenue_cents": True}, "found true, expected a whole number"),
        ("conversions", {"revenue_cents": "100"}, "expected a whole number"),
        ("conversions", {"revenue_cents": 2**63}, "expected a whole number"),
        ("conversions", {"currency": "dollars"}, 'found "DOLLARS", expected an ISO 4217 code'),
        ("exchange_rates", {"rate": 0}, "expected a number above 0"),
        ("exchange_rates", {"rate": "NaN"}, "expected a number above 0"),
        ("exchange_rates", {"rate": "1e12"}, "below 1e12"),
        ("exchange_rates", {"rate": "1e-19"}, "at most 18 decimals"),
        ("exchange_rates", {"rate": "1e-999999999"}, "at most 18 decimals"),
        ("exchange_rates", {"rate": "999999999999.1234567890123456789"}, "at most 18 decimals"),
        ("ad_spend", {"spend_on": "2026-02-30"}, 'found "2026-02-30", expected a calendar day'),
        ("users", {"email": "ada at example.com"}, "found text (not shown), expected one bare e-mail address"),
        ("users", {"email": "Ada <ada@example.com>"}, "found text (not shown), expected one bare e-mail address"),
    ],
)
def test_a_bad_value_is_refused_with_what_was_found_and_what_is_expected(feed: str, fields: dict[str, Any], words: str):
    assert words in reason(feed, changed(feed, **fields))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"event_id": "t-1"', "not readable as JSON"),
        (b'["t-1"]', "found a list, expected one JSON object"),
        (b"null", "found null, expected one JSON object"),
        (b"\xff\xfe", "not readable as JSON"),
        (b'{"event_id": "\xff"}', "not UTF-8 text"),
        (b'{"event_id": "\\ud800"}', "not readable as JSON"),
        (b'{"x": NaN}', "not readable as JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"x":' * 2000 + b"1" + b"}" * 2000, "nested too deep"),
    ],
)
def test_what_is_no_json_object_is_refused_whole(text: bytes, words: str):
    rejected = check("touchpoints", text).rejected[0]
    assert (rejected.field, rejected.source, rejected.form) == (None, text, Form.JSON)
    assert words in rejected.reason


def test_a_reason_names_every_fault():
    """Otherwise a sender mends one, sends again, and meets the next."""
    told = reason("conversions", changed("conversions", user_id="", revenue_cents=-5, conversion_type="sale"))
    assert [part.split(":")[0] for part in told.split("; ")] == ["user_id", "conversion_type", "revenue_cents"]


def test_a_reason_never_shows_an_address():
    """Quarantine's reasons are plain text, read by people who may not read addresses."""
    for name in FEEDS["viral_actions"].fields:
        told = reason("viral_actions", COMPLETE["viral_actions"] | {"occurred_at": "now", name: "mail ada@example.com"})
        assert "ada" not in told
        assert "example.com" not in told
    assert "example.com" not in reason("campaigns", changed("campaigns", status="ada%40example.com"))


def test_one_bad_record_leaves_the_others_in_order():
    good = [changed("touchpoints", event_id=f"t-{number}") for number in range(6)]
    checked = check("touchpoints", good[0], b"{", good[1], good[2], changed("touchpoints", event_id=""), good[3])
    assert checked.columns["event_id"] == ["t-0", "t-1", "t-2", "t-3"]
    assert [rejected.line for rejected in checked.rejected] == [2, 5]


def test_a_time_may_lie_a_day_ahead_of_the_clock_and_no_more():
    at_limit, beyond = "2026-07-02T12:00:00Z", "2026-07-02T12:00:00.000001Z"
    assert check("touchpoints", changed("touchpoints", occurred_at=at_limit)).count == 1
    assert "not more than a day ahead of the clock" in reason("touchpoints", changed("touchpoints", occurred_at=beyond))
    assert check("ad_spend", changed("ad_spend", spend_on="2026-07-02")).count == 1
    assert "not more than a day ahead" in reason("ad_spend", changed("ad_spend", spend_on="2026-07-03"))


@pytest.mark.parametrize("form", [line, dict])
@pytest.mark.parametrize("widest", ["x" * 256, "漢" * 85, "é" * 128, "𠀀" * 64], ids=range(1, 5))
def test_ids_and_channels_are_limited_in_bytes(form: Any, widest: str):
    """An index entry is: characters of other scripts take several each."""
    for name in ("event_id", "user_id", "campaign_id", "channel"):
        for text, count in ((widest, 1), (widest + "漢", 0)):
            validator = Validator(FEEDS["touchpoints"], PSEUDONYMS, now=NOW)
            checked = validator.check([1], [form(changed("touchpoints", **{name: text}))])
            assert (checked.count, [one.field for one in checked.rejected]) == (count, [name] * (1 - count))
    assert "found text of 259 bytes, expected text of 1 to 256 bytes" in reason(
        "touchpoints", changed("touchpoints", event_id="x" * 256 + "漢")
    )


def test_bytes_are_counted_after_a_text_has_its_final_form():
    """In lower case Ⱥ takes three bytes rather than two and İ is two characters; a pseudonym outgrows an address."""
    assert "channel: found text of 384 bytes" in reason("touchpoints", changed("touchpoints", channel="Ⱥ" * 128))
    assert "channel: found text of 511 bytes" in reason("touchpoints", changed("touchpoints", channel="İ" * 256))
    assert value(check("touchpoints", changed("touchpoints", channel="Ⱥ" * 64 + " " * 300)), "channel") == "ⱥ" * 64
    long_with_address = "x" * 200 + " ada@example.com"
    assert "user_id: found text of 271 bytes" in reason(
        "touchpoints", changed("touchpoints", user_id=long_with_address)
    )


def test_lines_without_escapes_are_held_to_the_limit_of_bytes_too():
    source = msgspec.json.encode(changed("touchpoints", campaign_id="漢" * 86))
    (block,) = read_blocks(BytesIO(source))
    validator = Validator(FEEDS["touchpoints"], PSEUDONYMS, now=NOW)
    checked = validator.check(block.numbers, block.lines, plain=block.plain)
    assert [one.field for one in checked.rejected] == ["campaign_id"]


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-05:00", "9999-01-01T00:00:00Z", "9998-12-31T23:00:00-02:00"])
@pytest.mark.parametrize("form", [line, dict])
def test_a_time_that_cannot_be_said_in_every_zone_is_refused(form: Any, time: str):
    """PostgreSQL and Python convert such times to UTC, whose calendar ends."""
    for name in ("starts_at", "ends_at", "created_at"):
        validator = Validator(FEEDS["campaigns"], PSEUDONYMS, now=NOW)
        checked = validator.check([1], [form(changed("campaigns", **{name: time}))])
        assert [one.field for one in checked.rejected] == [name]
    assert "expected a time before the year 9999 in UTC" in reason("campaigns", changed("campaigns", ends_at=time))
    assert check("campaigns", changed("campaigns", ends_at="9998-12-31T23:59:59Z")).count == 1


def test_a_campaign_may_be_planned_ahead():
    """starts_at and ends_at tell plans, not what has happened."""
    assert check("campaigns", changed("campaigns", starts_at="2030-01-01T00:00:00Z")).count == 1


def test_a_fact_of_a_frozen_day_comes_too_late():
    frozen = date(2026, 6, 2)
    assert reason("touchpoints", COMPLETE["touchpoints"], frozen_before=frozen).startswith(
        "occurred_at: too_late: found"
    )
    assert reason("ad_spend", COMPLETE["ad_spend"], frozen_before=frozen).startswith("spend_on: too_late: found")
    assert check("touchpoints", COMPLETE["touchpoints"], frozen_before=date(2026, 6, 1)).count == 1


@pytest.mark.parametrize("feed", ["identities", "users", "campaigns", "exchange_rates"])
def test_what_later_days_lean_on_never_comes_too_late(feed: str):
    """A link, a user or a rate from before the frozen days still decides over the days after them."""
    assert check(feed, COMPLETE[feed], frozen_before=date(2026, 6, 30)).count == 1


def test_times_of_any_offset_are_taken_and_spanned():
    records = [changed("users", signed_up_at="2026-06-01T02:00:00+02:00", updated_at=...), changed("users")]
    checked = check("users", *records)
    assert checked.earliest_at == datetime(2026, 6, 1, tzinfo=UTC)
    assert checked.latest_at == datetime(2026, 6, 1, 10, tzinfo=UTC)


def test_the_defaults_of_the_contract():
    least = {"event_id": "t-1", "user_id": "u-1", "occurred_at": AT}
    assert value(check("touchpoints", least), "interaction") == "visit"
    assert value(check("touchpoints", least), "channel") == "unknown"
    assert value(check("conversions", changed("conversions", currency=...)), "currency") == "USD"


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("Paid Search", "paid_search"),
        ("  e-mail ", "e_mail"),
        ("TikTok", "tiktok"),
        ("paid__social", "paid_social"),
        ("Öffentlich", "öffentlich"),
        ("", "unknown"),
        (" - ", "unknown"),
        ("a_channel_of_its_own", "a_channel_of_its_own"),
    ],
)
def test_channel_names_are_lower_snake_case(given_name: str, name: str):
    assert value(check("touchpoints", changed("touchpoints", channel=given_name)), "channel") == name


def test_the_built_in_channels_are_in_their_own_form():
    assert [channel_name(channel) for channel in CHANNELS] == list(CHANNELS)
    assert len(set(CHANNELS)) == len(CHANNELS)


def test_forms_that_mean_the_same_are_brought_into_one():
    assert value(check("conversions", changed("conversions", currency=" usd")), "currency") == "USD"
    assert value(check("conversions", changed("conversions", revenue_cents=100.0)), "revenue_cents") == 100


def test_extra_fields_are_kept():
    checked = check("touchpoints", changed("touchpoints", device={"os": "ios", "size": [1, 2.5]}, none=None, blank=""))
    assert msgspec.json.decode(value(checked, "properties")) == {"device": {"os": "ios", "size": [1, 2.5]}}


def test_properties_of_the_record_itself_are_taken_in():
    """Many senders have a field of that name; its parts stand beside the other extra fields, not below them."""
    checked = check("touchpoints", changed("touchpoints", properties={"a": 1}, b=2))
    assert msgspec.json.decode(value(checked, "properties")) == {"a": 1, "b": 2}
    assert "the same extra field" in reason("touchpoints", changed("touchpoints", properties={"a": 1}, a=2))


def test_nesting_has_a_limit():
    deep: Any = 1
    for _ in range(MAX_NESTING + 2):
        deep = [deep]
    assert f"more than {MAX_NESTING} levels" in reason("touchpoints", changed("touchpoints", deep=deep))


def test_addresses_leave_every_kept_value():
    checked = check(
        "touchpoints",
        changed(
            "touchpoints",
            user_id="Ada@Example.com",
            utm_campaign="to ada%40example.com, now",
            extra={"ada@example.com": ["cc: ada@example.com"]},
        ),
    )
    assert value(checked, "user_id") == f"email:{ADA}"
    assert value(checked, "utm_campaign") == f"to email:{ADA}, now"
    assert msgspec.json.decode(value(checked, "properties")) == {"extra": {f"email:{ADA}": [f"cc: email:{ADA}"]}}
    assert checked.addresses == {ADA: "ada@example.com"}


def test_a_recipient_becomes_two_pseudonyms():
    checked = check("viral_actions", changed("viral_actions", recipient_email=" Ada.L+x@GMail.com "))
    assert value(checked, "recipient_key") == PSEUDONYMS.of("ada.l+x@gmail.com")[0]
    assert value(checked, "recipient_mailbox_key") == PSEUDONYMS.of("adal@gmail.com")[0]
    assert value(checked, "key_version") == 1
    assert checked.addresses == {value(checked, "recipient_key"): "ada.l+x@gmail.com"}


@pytest.mark.parametrize(
    ("feed", "field", "column"),
    [("users", "email", "email_is_disposable"), ("viral_actions", "recipient_email", "recipient_is_disposable")],
)
def test_of_a_domain_only_the_verdict_is_kept(feed: str, field: str, column: str):
    addresses = (" X@Sub.Mailinator.com", "x@acme.example")
    checked = check(feed, *(changed(feed, **{field: address}) for address in addresses))
    assert checked.columns[column] == [True, False]
    assert "mailinator" not in repr(checked.columns).lower()


def test_no_verdict_is_given_where_none_is_asked_for():
    """Recipients of campaigns may use what mailboxes they like."""
    mailed = check("campaign_events", changed("campaign_events", recipient_email="x@mailinator.com"))
    assert [name for name in mailed.columns if "disposable" in name] == []


def test_a_version_stays_the_same_when_the_list_changes():
    """Otherwise each update of the list would make a re-sent history one of new versions."""
    record = [line(changed("users", email="x@mailinator.com"))]
    before, after = (
        Validator(FEEDS["users"], Pseudonyms(KEY, disposable=listed), now=NOW).check([1], record)
        for listed in ((), {"mailinator.com"})
    )
    assert (value(before, "email_is_disposable"), value(after, "email_is_disposable")) == (False, True)
    assert value(before, "record_sha256") == value(after, "record_sha256")


def test_a_refused_record_leaves_no_address_behind():
    """The vault must not hold addresses of people of whom nothing was loaded."""
    assert check("viral_actions", changed("viral_actions", action_type="")).addresses == {}


@pytest.mark.parametrize("feed", [name for name, feed in FEEDS.items() if feed.versioned])
def test_versions_are_told_apart_by_content_and_by_nothing_else(feed: str):
    record = COMPLETE[feed]
    shuffled = dict(reversed(record.items()))
    other_form = record | {"updated_at": "2026-06-01T12:00:00.000+02:00"}
    checked = check(
        feed, record, shuffled, other_form, record | {"updated_at": "2026-06-01T10:00:01Z"}, record | {"x": 1}
    )
    first, same, same_time, newer, more = checked.columns["record_sha256"]
    assert first == same == same_time
    assert len({first, newer, more}) == 3


def test_a_rate_is_one_version_however_it_is_written():
    checked = check("exchange_rates", *(changed("exchange_rates", rate=rate) for rate in (1.1, "1.1", "1.10", "11e-1")))
    assert len(set(checked.columns["record_sha256"])) == 1


def test_a_rate_keeps_all_of_its_digits_and_no_zeros_at_the_end():
    """Rounded on the way, two rates would be one version; PostgreSQL refuses zeros without end."""
    rates = ("999999999999.123456789012345678", "999999999999.123456789012345679", "0.5" + "0" * 20_000)
    checked = check("exchange_rates", *(changed("exchange_rates", rate=rate) for rate in rates))
    assert list(map(str, checked.columns["rate"])) == [rates[0], rates[1], "0.5"]
    assert len(set(checked.columns["record_sha256"])) == 3


# -- the fast way and the exact way -------------------------------------------------------------------------


@given(drawn=st.lists(drawn_records(), min_size=1, max_size=5), as_text=st.booleans())
def test_the_fast_way_and_the_exact_way_agree(drawn: list[tuple[str, dict[str, Any]]], as_text: bool):
    """Otherwise a record would be judged by the company in which it comes."""
    feed = drawn[0][0]
    given_records = [record for name, record in drawn if name == feed]
    sources: list[Any] = [line(record) for record in given_records] if as_text else given_records
    examiner = Examiner(FEEDS[feed], PSEUDONYMS, now=NOW)
    expected_good, expected_bad = [], []
    for number, source in enumerate(sources):
        try:
            expected_good.append(examiner.examine(source, {}))
        except RejectedError as error:
            expected_bad.append((number, str(error)))
    checked = Validator(FEEDS[feed], PSEUDONYMS, now=NOW).check(range(len(sources)), sources)
    assert [(one.line, one.reason) for one in checked.rejected] == expected_bad
    assert checked.count == len(expected_good)
    for name in FEEDS[feed].fields:
        if name not in (FEEDS[feed].address, "channel"):
            assert checked.columns[name] == [getattr(record, name) for record, _ in expected_good]
    assert checked.columns["properties"] == [properties for _, properties in expected_good]


@given(st.floats())
def test_no_number_makes_validation_raise(number: float):
    checked = Validator(FEEDS["conversions"], PSEUDONYMS, now=NOW).check(
        [1], [COMPLETE["conversions"] | {"revenue_cents": number, "extra": number}]
    )
    assert checked.count == (1 if math.isfinite(number) and number.is_integer() and 0 <= number < 2**63 else 0)
