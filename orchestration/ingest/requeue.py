"""Quarantined records tried again, after the contract, the clock or a frozen day has moved: `ingest --requeue`."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from orchestration.warehouse import Warehouse, ledger
from orchestration.warehouse.quarantine import WaitingRecord, keep_waiting, release, waiting_records

from .open_load import LoadReport, OpenLoad, PersonalData
from .records import FEEDS, Feed
from .validation import Form, Rejected, Source, Validator

SOURCE = "requeue"
PAGE_RECORDS = 20_000


def requeue(
    warehouse: Warehouse,
    *,
    personal_data: PersonalData,
    now: datetime,
    frozen_before: date | None = None,
) -> list[LoadReport]:
    """Try every waiting record again, in one load for each feed that gets any in.

    A record that passes is loaded and marked as released, its sealed copy emptied when that load is published; one
    that still fails stays, with its reason brought up to date. Records of held loads wait with their load.
    Raises WarehouseError.
    """
    reports = []
    for feed in FEEDS.values():
        validator = Validator(feed, personal_data.pseudonyms, now=now, frozen_before=frozen_before)
        report = _requeue_feed(warehouse, feed, validator, personal_data)
        if report is not None:
            reports.append(report)
    return reports


def _requeue_feed(
    warehouse: Warehouse, feed: Feed, validator: Validator, personal_data: PersonalData
) -> LoadReport | None:
    with warehouse.connect("marketing requeue") as connection:
        ledger.lock_feed(connection, feed.name)
        page = waiting_records(connection, feed.name, after=0, limit=PAGE_RECORDS)
        if not page:
            return None
        load = OpenLoad(connection, personal_data, feed, SOURCE, None)
        kept = 0
        while page:
            kept += _retry(connection, load, validator, personal_data, page)
            page = waiting_records(connection, feed.name, after=page[-1].quarantine_id, limit=PAGE_RECORDS)
        return load.close(still_quarantined=kept)


def _retry(
    connection: Any, load: OpenLoad, validator: Validator, personal_data: PersonalData, page: Sequence[WaitingRecord]
) -> int:
    """Try a page of records; the number that stay."""
    sources: dict[Form, dict[int, Source]] = {Form.JSON: {}, Form.FIELDS: {}, Form.TEXT: {}}
    for waiting in page:
        content = personal_data.quarantine.open(waiting.record, validator.feed.name.encode())
        form = Form(content[:1].decode())
        sources[form][waiting.quarantine_id] = msgspec.json.decode(content[1:]) if form is Form.FIELDS else content[1:]
    kept = len(sources[Form.TEXT])
    for form in (Form.JSON, Form.FIELDS):
        kept += _retry_form(connection, load, validator, sources[form])
    return kept


def _retry_form(connection: Any, load: OpenLoad, validator: Validator, sources: Mapping[int, Source]) -> int:
    # A record's number in quarantine stands for its line: in the order in which they came.
    checked = validator.check(list(sources), list(sources.values()))
    load.write_good(checked)
    rejected: dict[int, Rejected] = {one.line: one for one in checked.rejected}
    keep_waiting(connection, [(one.line, one.field, one.reason) for one in checked.rejected])
    release(connection, [number for number in sources if number not in rejected], load.load_id)
    return len(rejected)
