"""Addresses of PostgreSQL survive each translation."""

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

from orchestration.warehouse.address import database_name, libpq_url, sqlalchemy_url

ADDRESSES = [
    "postgresql://engine:p%40ss%2Fw%3Ard@db.example.com:5433/market?sslmode=require",
    "postgres://engine@db.example.com/market",
    "postgresql://engine:secret@[::1]:5432/market",
    "postgresql://engine:secret@/market?host=/var/run/postgresql",
    "postgresql://engine:secret@one:1,two:2/market?target_session_attrs=read-write",
    "host=127.0.0.1 port=5432 user='the engine' password='a b' dbname='my db'",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_libpq_reads_the_same_from_the_url(address):
    before, after = conninfo_to_dict(address), conninfo_to_dict(libpq_url(address))
    assert {"port": "5432", **after} == {"port": "5432", **before}
    assert database_name(libpq_url(address, database="other/one")) == "other/one"


@pytest.mark.parametrize("address", ADDRESSES)
def test_sqlalchemy_reads_the_same_from_its_url(address):
    parameters = conninfo_to_dict(address)
    url = make_url(sqlalchemy_url(address, driver="psycopg2"))
    assert url.drivername == "postgresql+psycopg2"
    assert (url.username, url.password, url.database) == (
        parameters["user"],
        parameters.get("password"),
        parameters["dbname"],
    )
    assert (url.host or url.query["host"]) == parameters["host"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_printed_has_no_password(address):
    shown = libpq_url(address, show_password=False)
    assert "password" not in conninfo_to_dict(shown)


def test_without_a_database_the_users_name_counts():
    assert database_name("postgresql://engine@db/") == "engine"
