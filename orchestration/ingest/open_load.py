"""One load between its opening and its commit: what it writes, and what it reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from orchestration.warehouse import ledger, quarantine, vault
from orchestration.warehouse.bulk import RawTable, RawWriter, Tally
from orchestration.warehouse.quarantine import QuarantinedRecord

from .examination import Pseudonymiser
from .records import Feed
from .validation import Checked, Rejected

# Put into the vault by the first load: its pseudonym tells whether the key is still the same.
CANARY = "key-check@marketing.invalid"


class Cipher(Protocol):
    """What ingest needs of privacy.vault.Cipher."""

    version: int

    def seal(self, content: bytes, context: bytes = b"") -> bytes:
        """Encrypt."""

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        """Decrypt."""


@dataclass(frozen=True)
class PersonalData:
    """How ingest treats addresses: pseudonyms in their place, and ciphers for the vault and for quarantine."""

    pseudonyms: Pseudonymiser
    vault: Cipher
    quarantine: Cipher


@dataclass(frozen=True)
class LoadReport:
    """What became of one file, or of a feed's requeued records.

    load_id: None for a file known by its content, whose records all count as duplicates, and for a refused one.
    refused: why nothing was loaded; None when all went well.
    """

    feed: str
    source: str
    load_id: int | None = None
    records_read: int = 0
    inserted: int = 0
    duplicate: int = 0
    conflicting: int = 0
    quarantined: int = 0
    refused: str | None = None


class OpenLoad:
    """A load whose transaction is under way. source: where its records come from; checksum: of a file's bytes."""

    def __init__(
        self, connection: Any, personal_data: PersonalData, feed: Feed, source: str, checksum: str | None
    ) -> None:
        """Open a load in the connection's transaction, its feed locked. Raises WarehouseError for another key."""
        self._connection = connection
        self._personal_data = personal_data
        self._feed = feed
        self._source = source
        canary = personal_data.pseudonyms.of(CANARY)[0]
        version = personal_data.pseudonyms.version
        vault.check_key(connection, canary=canary, key_version=version)
        self._vault = vault.VaultWriter(connection, key_version=version, seal=self._seal_address)
        self._vault.add({canary: CANARY})
        self.load_id = ledger.open_load(connection, feed.name, source, checksum, datetime.now(UTC))
        self._table = RawTable.read(connection, feed.name)
        self._writer = RawWriter(connection, self._table, self.load_id, verdict=feed.verdict)
        self._tally = Tally()
        self._quarantined = 0
        self._times: list[datetime] = []

    def write(self, checked: Checked) -> int:
        """Write a batch; the number of records so far."""
        self.write_good(checked)
        self._quarantine(checked.rejected)
        return self._tally.inserted + self._tally.duplicate + self._quarantined

    def write_good(self, checked: Checked) -> None:
        """Write a batch's good records, leaving the rejected ones to the caller."""
        self._tally += self._writer.write(checked.columns, checked.count, plain=checked.plain)
        self._vault.add(checked.addresses)
        if checked.count:
            times = [*self._times, checked.earliest_at, checked.latest_at]
            self._times = [min(times), max(times)]

    def close(self, still_quarantined: int = 0) -> LoadReport:
        """Complete the ledger. still_quarantined: records that were in quarantine before and stay there."""
        quarantined = self._quarantined + still_quarantined
        if still_quarantined and quarantined == still_quarantined and self._tally == Tally():
            ledger.discard_load(self._connection, self.load_id)
            return LoadReport(
                self._feed.name, self._source, records_read=still_quarantined, quarantined=still_quarantined
            )
        earliest, latest = self._times or (None, None)
        ledger.close_load(
            self._connection,
            self._table,
            self.load_id,
            self._tally,
            quarantined=quarantined,
            span=(earliest, latest),
        )
        self._vault.finish()
        return LoadReport(
            self._feed.name,
            self._source,
            self.load_id,
            self._tally.inserted + self._tally.duplicate + quarantined,
            self._tally.inserted,
            self._tally.duplicate,
            self._tally.conflicting,
            quarantined,
        )

    def _quarantine(self, rejected: Sequence[Rejected]) -> None:
        cipher = self._personal_data.quarantine
        records = [
            QuarantinedRecord(
                one.line, one.field, one.reason, cipher.seal(one.form.encode() + one.source, self._feed.name.encode())
            )
            for one in sorted(rejected, key=lambda one: one.line)
        ]
        load = (self.load_id, self._feed.name, self._source)
        quarantine.put_aside(self._connection, load, records, key_version=cipher.version)
        self._quarantined += len(records)

    def _seal_address(self, address: str, pseudonym: str) -> bytes:
        return self._personal_data.vault.seal(address.encode(), pseudonym.encode())
