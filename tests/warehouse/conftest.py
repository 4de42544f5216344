"""The engine that the tests of the models share."""

from collections.abc import Iterator

import pytest

from orchestration.warehouse import Warehouse
from tests.conftest import new_database
from tests.engine import Engine


@pytest.fixture(scope="session")
def session_engine(
    session_warehouse: Warehouse, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One database and one parsed dbt project for all tests. Ask for `engine` instead."""
    with new_database(session_warehouse, template=template_database) as url:
        yield Engine(Warehouse.open(tmp_path_factory.mktemp("engine"), url))


@pytest.fixture
def engine(session_engine: Engine) -> Engine:
    """The engine, emptied."""
    session_engine.empty()
    return session_engine
