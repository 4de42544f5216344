"""E-mail addresses: nowhere in the warehouse but sealed in the vault."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from psycopg import errors, sql

from orchestration.ingest.open_load import PersonalData
from orchestration.privacy.pseudonyms import Pseudonyms
from orchestration.warehouse import Warehouse, WarehouseError
from tests.feed_records import COMPLETE, KEY, PERSONAL_DATA, write_jsonl
from tests.loading import ingest, query

ADDRESS = re.compile(r"[^\s@]+(@|%40)[^\s@]+\.[^\s@]+")


def text_of(warehouse: Warehouse, schema: str) -> str:
    """Every value of every table of a schema, as text."""
    parts = []
    with warehouse.connect() as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = %s", [schema]).fetchall()
        for (table,) in tables:
            name = sql.Identifier(schema, table)
            found = connection.execute(
                sql.SQL("select {}::text from {}").format(sql.Identifier(table), name)
            ).fetchall()
            parts.extend(text for (text,) in found)
    return "\n".join(parts)


def with_addresses(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The record with an address in each of its fields in turn, and in extra ones."""
    address = "Ada.Secret+tag@Example.com"
    return [
        *({**record, name: address, "n": number} for number, name in enumerate(record)),
        *({**record, name: f"mail {address} now", "n": number} for number, name in enumerate(record)),
        {**record, "extra": {"deep": [{address: address.replace("@", "%40")}]}, "properties": {"about": address}},
        {**record, address: 1, "n": "a"},
    ]


def test_no_address_stays_in_any_table_but_the_vault(warehouse: Warehouse, tmp_path: Path):
    """The sweep reads every text of raw: columns, properties, reasons, sources, shadows."""
    for feed, record in COMPLETE.items():
        batch = with_addresses(record)
        write_jsonl(tmp_path, feed, [*batch, b'{"broken": "ada.secret@example.com"'], "ada.secret@example.com.jsonl")
        write_jsonl(tmp_path, feed, batch[::-1], "again.jsonl")
    reports = ingest(warehouse, tmp_path)
    assert sum(report.inserted for report in reports) > 40
    assert sum(report.quarantined for report in reports) > 60
    swept = text_of(warehouse, "raw")
    assert "email:" in swept
    assert not ADDRESS.search(swept)
    assert "secret" not in swept.lower()
    for sealed in (b"secret", b"Secret"):
        assert sealed.hex() not in swept


def test_the_vault_keeps_each_address_once_and_the_engine_cannot_read_it(warehouse: Warehouse, tmp_path: Path):
    for feed in ("viral_actions", "campaign_events"):
        records = [COMPLETE[feed] | {"event_id": f"e-{n}", "recipient_email": " Ada@Example.com"} for n in range(3)]
        ingest(warehouse, write_jsonl(tmp_path, feed, records))
    key = PERSONAL_DATA.pseudonyms.of("ada@example.com")[0]
    assert query(warehouse, "select count(*) from privacy.vault where pseudonym = %s", key) == [(1,)]
    with pytest.raises(errors.InsufficientPrivilege):
        query(warehouse, "select address from privacy.vault")
    with pytest.raises(errors.InsufficientPrivilege):
        query(warehouse, "select * from privacy.vault")


def test_another_pseudonym_key_is_refused(warehouse: Warehouse, tmp_path: Path):
    """Loaded under it, every person would be counted a second time."""
    ingest(warehouse, write_jsonl(tmp_path, "users", [COMPLETE["users"]]))
    other = PersonalData(Pseudonyms(KEY[::-1]), PERSONAL_DATA.vault, PERSONAL_DATA.quarantine)
    path = write_jsonl(tmp_path, "users", [COMPLETE["users"] | {"user_id": "u-2"}], "b.jsonl")
    with pytest.raises(WarehouseError, match="not the key that this warehouse's pseudonyms were made with"):
        ingest(warehouse, path, personal_data=other)
