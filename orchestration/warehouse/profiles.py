"""profiles.yml, by which a plain `dbt build` reaches the same warehouse."""

import os
from pathlib import Path

import psycopg
import yaml

from .files import write_private
from .locks import DBT_APPLICATION_NAME

FILE_NAME = "profiles.yml"
# Of libpq's parameters, those that dbt-postgres takes.
PASSED_ON = ("sslmode", "sslcert", "sslkey", "sslrootcert")


def write_profiles(home: Path, connection: psycopg.Connection) -> Path:
    """Write `home`/profiles.yml (mode 0600) for the warehouse that is connected to, unless it says so already."""
    info = connection.info
    target = {
        "type": "postgres",
        "host": info.host,
        "port": info.port,
        "user": info.user,
        "password": info.password,
        "dbname": info.dbname,
        "schema": "staging",
        "threads": 2,
        "application_name": DBT_APPLICATION_NAME,
    }
    parameters = info.get_parameters()
    target |= {name: parameters[name] for name in PASSED_ON if name in parameters}
    text = "# Written by every start of the warehouse.\n" + yaml.safe_dump(
        {"marketing_automation": {"target": "warehouse", "outputs": {"warehouse": target}}}, sort_keys=False
    )
    path = home / FILE_NAME
    if path.exists() and path.read_text() == text:
        os.chmod(path, 0o600)
        return path
    return write_private(path, text)
