"""The only door to PostgreSQL: the server, its migrations and roles, sessions, locks, backups."""

from psycopg import Connection
from psycopg import Error as DatabaseError

from .errors import WarehouseError
from .warehouse import Warehouse

__all__ = ["Connection", "DatabaseError", "Warehouse", "WarehouseError"]
