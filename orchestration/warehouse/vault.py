"""Writing the vault: sealed addresses by pseudonym. The engine may add and count, never read them back."""

from collections.abc import Callable, Collection, Mapping

import psycopg

from . import locks
from .bulk import copy_rows
from .errors import WarehouseError


class VaultWriter:
    """Adds one transaction's addresses to privacy.vault, in finish(), so that rows and addresses commit together.

    seal: (address, its pseudonym) → sealed bytes.
    """

    def __init__(self, connection: psycopg.Connection, *, key_version: int, seal: Callable[[str, str], bytes]) -> None:
        self._connection = connection
        self._key_version = key_version
        self._seal = seal
        self._staged = False

    def add(self, addresses: Mapping[str, str]) -> None:
        """Stage those of these addresses (by pseudonym) that the vault does not hold yet."""
        unseen = addresses.keys() - self._stored(addresses.keys()) if addresses else set()
        if not unseen:
            return
        if not self._staged:
            self._connection.execute(
                "create temporary table vault_incoming (pseudonym text not null, address bytea not null) on commit drop"
            )
            self._staged = True
        keys = sorted(unseen)
        rows = copy_rows([keys, [self._seal(addresses[key], key) for key in keys]])
        with self._connection.cursor() as cursor, cursor.copy("copy vault_incoming from stdin") as copy:
            copy.write("".join(rows))

    def finish(self) -> None:
        """Move what was staged into the vault: the last thing before the commit, since it locks out other writers."""
        if not self._staged:
            return
        # One writer at a time, and last of all locks: two loads that share addresses cannot wait for each other.
        locks.lock_in_transaction(self._connection, locks.VAULT)
        self._connection.execute(
            """
            insert into privacy.vault (pseudonym, key_version, address)
            select distinct on (pseudonym) pseudonym, %s, address
            from vault_incoming
            order by pseudonym
            on conflict do nothing
            """,
            [self._key_version],
        )

    def _stored(self, pseudonyms: Collection[str]) -> set[str]:
        rows = self._connection.execute(
            "select pseudonym from privacy.vault where pseudonym = any(%s)", [sorted(pseudonyms)]
        )
        return {pseudonym for (pseudonym,) in rows}


def holds_pseudonyms(connection: psycopg.Connection) -> bool:
    """Whether any address was ever put into the vault: from then on its keys must not be made anew."""
    return connection.execute("select exists (select from privacy.vault)").fetchone()[0]


def check_key(connection: psycopg.Connection, *, canary: str, key_version: int) -> None:
    """Raise WarehouseError when the pseudonyms of this version in the vault were made with another key.

    canary: the pseudonym of a fixed address that every first load puts into the vault.
    """
    known, filled = connection.execute(
        """
        select
            exists (select from privacy.vault where pseudonym = %(canary)s),
            exists (select from privacy.vault where key_version = %(version)s)
        """,
        {"canary": canary, "version": key_version},
    ).fetchone()
    if filled and not known:
        raise WarehouseError(
            "MARKETING_PSEUDONYM_KEY (or keys/pseudonym.key) is not the key that this warehouse's pseudonyms were "
            "made with: with another one every person would be counted anew. Put the first key back"
        )
