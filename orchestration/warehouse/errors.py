"""What goes wrong with a warehouse, in words that say how to mend it."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

# What the values of a record can bring about; all other errors concern the server or the way to it.
_OF_VALUES = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)


class WarehouseError(Exception):
    """The warehouse cannot be reached, started, migrated or used; the message says what to do."""


class RefusedValueError(WarehouseError):
    """PostgreSQL refuses a value that was sent to it; the transaction is void, the next may succeed."""


@contextmanager
def refused_values() -> Iterator[None]:
    """Raise RefusedValueError for what psycopg says of values; errors of the connection pass as they are."""
    try:
        yield
    except _OF_VALUES as error:
        # Not the whole error: its other lines show the row.
        reason = error.diag.message_primary or type(error).__name__
        raise RefusedValueError(f"PostgreSQL refuses a value in it: {reason}") from error
