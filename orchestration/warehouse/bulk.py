"""The SQL of loading: batches of records into a raw table, each exactly once.

All of it runs inside the caller's one transaction per file; ledger.py opens and closes the load around it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Self

import msgspec
import psycopg
from psycopg import sql

from .errors import WarehouseError

NULL = r"\N"
_SPECIAL = "\\\t\n\r"
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True)
class RawTable:
    """A feed's raw table as the catalog describes it.

    types: of its columns, in order. key: the columns of its unique index; optional_key: those of them that may be
    null.
    """

    feed: str
    types: Mapping[str, str]
    key: tuple[str, ...]
    optional_key: frozenset[str]

    @classmethod
    def read(cls, connection: psycopg.Connection, feed: str) -> Self:
        """Raises WarehouseError when there is no such table."""
        rows = connection.execute(
            """
            select attname, format_type(atttypid, atttypmod), attnotnull, coalesce(attnum = any(indkey), false)
            from pg_attribute
            left join pg_index on indrelid = attrelid and indisunique
            where attrelid = to_regclass(format('raw.%%I', %s::text)) and attnum > 0 and not attisdropped
            order by attnum
            """,
            [feed],
        ).fetchall()
        if not rows:
            raise WarehouseError(f"the warehouse has no table raw.{feed}")
        return cls(
            feed,
            {name: type_name for name, type_name, _, _ in rows},
            tuple(name for name, _, _, in_key in rows if in_key),
            frozenset(name for name, _, required, in_key in rows if in_key and not required),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(self.types)

    @property
    def versioned(self) -> bool:
        """Whether the table keeps versions, told apart by record_sha256."""
        return "record_sha256" in self.columns

    @property
    def identity(self) -> tuple[str, ...]:
        """Columns, none of them null, whose equality means the same key (a record's hash covers its key)."""
        return ("record_sha256",) if self.versioned else self.key

    @property
    def name(self) -> sql.Identifier:
        """The qualified name."""
        return sql.Identifier("raw", self.feed)

    def same_key(self, left: str, right: str) -> sql.Composable:
        """The condition that two rows have one key, in a form that the unique index serves."""
        return sql.SQL(" and ").join(
            sql.SQL("{} is not distinct from {}" if column in self.optional_key else "{} = {}").format(
                sql.Identifier(left, column), sql.Identifier(right, column)
            )
            for column in self.key
        )


@dataclass(frozen=True)
class Tally:
    """What became of a batch's records; conflicting: those duplicates whose content differs from the first's."""

    inserted: int = 0
    duplicate: int = 0
    conflicting: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.inserted + other.inserted, self.duplicate + other.duplicate, self.conflicting + other.conflicting
        )


class RawWriter:
    """Writes one load's batches into its raw table. The load's feed must be locked (ledger.lock_feed).

    The keys of a batch are looked up first; the records of new ones go straight into the table by COPY, which costs
    half of an insert that resolves conflicts. Under the lock nobody else adds keys meanwhile.
    """

    def __init__(
        self, connection: psycopg.Connection, table: RawTable, load_id: int, *, verdict: str | None = None
    ) -> None:
        """verdict: a column that no sender filled, so that a record does not contradict its first by it."""
        self._connection = connection
        self._table = table
        self._load_id = load_id
        content = [column for column in table.columns if column not in ("load_id", "key_version", verdict)]
        parts = {
            "raw": table.name,
            "columns": _names(table.columns),
            "key": _names(table.key),
            "sent": sql.SQL(", ").join(
                sql.SQL("%s::{}[]").format(sql.SQL(table.types[column])) for column in table.key
            ),
            "same_key": table.same_key("first", "sent"),
            "of_sent": _names(content, of="sent"),
            "of_first": _names(content, of="first"),
        }
        connection.execute(sql.SQL("create temporary table duplicates (like {raw}) on commit drop").format(**parts))
        # A plan kept from the first batches would not know how large the table has grown.
        connection.prepare_threshold = None
        self._copy_new = sql.SQL("copy {raw} ({columns}) from stdin").format(**parts)
        self._copy_duplicates = sql.SQL("copy duplicates ({columns}) from stdin").format(**parts)
        self._find_known = sql.SQL(
            """
            select sent.position - 1
            from unnest({sent}) with ordinality as sent ({key}, position)
            cross join lateral (select from {raw} as first where {same_key} offset 0) as first
            """
        ).format(**parts)
        self._count_conflicts = sql.SQL(
            """
            select count(*)
            from duplicates as sent
            cross join lateral (select * from {raw} as first where {same_key} offset 0) as first
            where ({of_sent}) is distinct from ({of_first})
            """
        ).format(**parts)
        self._shadow = sql.SQL(
            """
            insert into raw.shadowed (feed, load_id, owner_load_id, record)
            select %(feed)s, %(load_id)s, first.load_id, to_jsonb(sent)
            from duplicates as sent
            cross join lateral (select * from {raw} as first where {same_key} offset 0) as first
            inner join raw.loads on loads.load_id = first.load_id
            where
                first.load_id <> %(load_id)s
                and loads.published_build_id is null
                -- Asked once, it spares the look-ups where all earlier loads are published.
                and exists (
                    select from raw.loads as waiting
                    where
                        waiting.feed = %(feed)s
                        and waiting.load_id <> %(load_id)s
                        and waiting.published_build_id is null
                )
            order by sent.ctid
            """
        ).format(**parts)

    def write(self, columns: Mapping[str, Sequence[object]], count: int, *, plain: bool = False) -> Tally:
        """Write `count` records, given as columns in line order (load_id left out); the first of equal keys wins.

        plain: no text holds a backslash, tab or line end.
        """
        if count == 0:
            return Tally()
        rows = copy_rows([columns.get(name) or [self._load_id] * count for name in self._table.columns], plain=plain)
        identities = _joined([columns[name] for name in self._table.identity])
        # In the order of the key, so that neighbours in the index are written together.
        order = sorted(range(count), key=identities.__getitem__)
        duplicates = self._known(columns, order)
        if len(set(identities)) < count:
            duplicates.update(b for a, b in pairwise(order) if identities[a] == identities[b])
        if not duplicates:
            self._copy(self._copy_new, map(rows.__getitem__, order))
            return Tally(count)
        self._copy(self._copy_new, (rows[row] for row in order if row not in duplicates))
        self._copy(self._copy_duplicates, map(rows.__getitem__, sorted(duplicates)))
        conflicting = self._settle_duplicates()
        return Tally(count - len(duplicates), len(duplicates), conflicting)

    def _known(self, columns: Mapping[str, Sequence[object]], order: Sequence[int]) -> set[int]:
        """Rows whose key is in the table already."""
        keys = [_array(list(map(columns[name].__getitem__, order))) for name in self._table.key]
        return {order[position] for (position,) in self._connection.execute(self._find_known, keys)}

    def _settle_duplicates(self) -> int:
        """Shadow them where their first may still be held; the number that contradict their first."""
        self._connection.execute(self._shadow, {"feed": self._table.feed, "load_id": self._load_id})
        conflicting = 0
        if not self._table.versioned:
            conflicting = self._connection.execute(self._count_conflicts).fetchone()[0]
        self._connection.execute("truncate duplicates")
        return conflicting

    def _copy(self, statement: sql.Composed, rows: Iterable[str]) -> None:
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write("".join(rows))


def copy_rows(columns: Sequence[Sequence[object]], *, plain: bool = False) -> list[str]:
    """Lines of COPY's text format from columns of equal length, each of one type besides None.

    plain: no text holds a backslash, tab or line end, so none is looked for.
    """
    texts = [_copy_values(values, plain) for values in columns]
    return [row + "\n" for row in map("\t".join, zip(*texts, strict=True))]


def _copy_values(values: Sequence[object], plain: bool) -> Sequence[str]:
    complete = None not in values
    present = values if complete else [value for value in values if value is not None]
    if not present:
        return [NULL] * len(values)
    texts = _copy_texts(present, plain)
    if complete:
        return texts
    waiting = iter(texts)
    return [NULL if value is None else next(waiting) for value in values]


def _copy_texts(values: Sequence[object], plain: bool) -> Sequence[str]:
    """The values, none of them None, as COPY wants them."""
    first = values[0]
    if isinstance(first, str):
        if plain or not _is_special("".join(values)):
            return values
        return [value.translate(_ESCAPES) for value in values]
    if isinstance(first, bytes):
        return ["\\\\x" + value.hex() for value in values]
    if isinstance(first, date):
        # One call for all: many times as fast as str() of each.
        return msgspec.json.encode(values)[2:-2].decode().split('","')
    return list(map(str, values))


def _array(values: Sequence[object]) -> str:
    """PostgreSQL's text for an array of texts, days or hashes."""
    texts = values
    if not isinstance(values[0], str | None):
        texts = [f"\\x{value.hex()}" if isinstance(value, bytes) else str(value) for value in values]
    if None not in texts:
        joined = '","'.join(texts)
        if "\\" not in joined and joined.count('"') == 2 * (len(texts) - 1):
            return f'{{"{joined}"}}'
    return "{" + ",".join(map(_array_element, texts)) + "}"


def _array_element(text: str | None) -> str:
    return "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_special(text: str) -> bool:
    return any(special in text for special in _SPECIAL)


def _joined(columns: Sequence[Sequence[object]]) -> Sequence:
    return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))


def _names(columns: Iterable[str], *, of: str | None = None) -> sql.Composable:
    qualifier = () if of is None else (of,)
    return sql.SQL(", ").join(sql.Identifier(*qualifier, column) for column in columns)
