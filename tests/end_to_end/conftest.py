"""A small simulated world, and installations to run it through."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestration.simulate import simulate
from orchestration.warehouse import Warehouse
from tests.conftest import new_database
from tests.end_to_end.site import Site

UNTIL = datetime(2026, 4, 1, tzinfo=UTC)

NewSite = Callable[..., Site]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Feed files of a small business, oldest first."""
    summary = simulate(tmp_path_factory.mktemp("world"), people=80, days=21, seed=7, until=UNTIL)
    return sorted(summary.files, key=lambda file: (file.name.partition(".")[0], file.parent.name))


@pytest.fixture(scope="module")
def new_site(
    session_warehouse: Warehouse, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NewSite]:
    """Makes installations with a database each on the server of the session. settings: further variables.

    like: a site whose parsed dbt project the new one takes over, to save the seconds of parsing it.
    """
    with ExitStack() as databases:

        def make(like: Site | None = None, **settings: str) -> Site:
            url = databases.enter_context(new_database(session_warehouse, template=template_database))
            home = tmp_path_factory.mktemp("a site")
            if like is not None:
                shutil.copytree(like.home / "dbt", home / "dbt")
            return Site(home, url, {"MARKETING_AS_OF": UNTIL.isoformat(), **settings})

        yield make
