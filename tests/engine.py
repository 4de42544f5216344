"""The engine from feed records to published marts, in one process, for tests that hold it against the oracle.

Records go through ingest, builds through the build session, dbt and publication: nothing is faked. One engine
serves many tests, so that dbt parses its project once; `empty` forgets everything between two of them.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from psycopg import sql

from orchestration.attribution.fits import fit_build as fit_attribution
from orchestration.ingest.loader import load
from orchestration.ingest.open_load import LoadReport, PersonalData
from orchestration.ingest.records import FEEDS
from orchestration.ingest.validation import Validator
from orchestration.policy import Policy
from orchestration.privacy.pseudonyms import Pseudonyms
from orchestration.privacy.vault import Cipher
from orchestration.transform.builds import open_session
from orchestration.transform.dbt import Failure, Invocation
from orchestration.transform.project import Project
from orchestration.viral.fits import fit_build as fit_spread
from orchestration.warehouse import Warehouse
from orchestration.warehouse.builds import Build
from tests.oracles.attribution import Row
from tests.oracles.compare import differences, read_mart
from tests.oracles.feeds import Feeds, Record
from tests.oracles.oracle import FITTED_GRAINS, GRAINS, marts_of, trimmed_lower
from tests.oracles.policy import policy_of
from tests.oracles.viral import referrals_of
from tests.oracles.viral_levers import lever_counts
from tests.oracles.worlds import write_feeds

ROOT = Path(__file__).parents[1]
PROJECT_FILE = ROOT / "dbt_project.yml"
POLICY = policy_of(PROJECT_FILE)
KEY = b"a key for tests, 32 bytes or more"
NOW = datetime(2026, 12, 31, tzinfo=UTC)
"""The real clock as ingest sees it: after everything that a test's world holds."""
MODELS_ONLY = ("--exclude-resource-type", "test")

Marts = dict[str, list[Row]]


class BuildFailedError(AssertionError):
    """dbt failed in a build that a test expected to be good."""

    def __init__(self, failures: list[Failure]) -> None:
        super().__init__("\n".join(f"{failure.name}: {failure.message}" for failure in failures))
        self.failures = failures


class Engine:
    """A warehouse with its models."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.project = Project(ROOT, warehouse.home)
        # Parsed before anything is built, as an installation does it: what only a build would see is missing then.
        assert self.project.manifest
        self._personal_data = PersonalData(
            Pseudonyms(KEY), Cipher(KEY, purpose="vault"), Cipher(KEY, purpose="quarantine")
        )
        self._validators = {
            name: Validator(feed, self._personal_data.pseudonyms, now=NOW) for name, feed in FEEDS.items()
        }
        self._files = 0

    def empty(self) -> None:
        """Forget feeds, builds and published rows. What dbt left in its own schemas stays: no build may lean on it."""
        with self.warehouse.connect() as connection:
            tables = connection.execute(
                "select schemaname, tablename from pg_tables where schemaname in ('raw', 'marts') order by 1, 2"
            ).fetchall()
            own = ("builds", "metric_samples", "metric_rollups", "alert_incidents")
            ops = [("ops", table) for table in own]
            names = sql.SQL(", ").join(sql.Identifier(*table) for table in [*tables, *ops])
            connection.execute(sql.SQL("truncate {} restart identity cascade").format(names))
            connection.execute("truncate ops.attribution_promotions restart identity")
            connection.execute("delete from ops.attribution_calibrations where calibration_id > 0")

    def ingest(self, feeds: Feeds, *, frozen_before: date | None = None) -> list[LoadReport]:
        """Load one file for each feed that has records."""
        with tempfile.TemporaryDirectory() as folder:
            self._files += 1
            files = write_feeds(feeds, Path(folder), f"file-{self._files}")
            return self.load(files, frozen_before=frozen_before)

    def load(self, paths: list[Path], *, frozen_before: date | None = None) -> list[LoadReport]:
        """Load feed files, or folders of them."""
        return load(self.warehouse, paths, personal_data=self._personal_data, now=NOW, frozen_before=frozen_before)

    def build(
        self,
        as_of: datetime,
        *,
        full_reason: str | None = None,
        arguments: tuple[str, ...] = MODELS_ONLY,
        before_publication: Callable[[], None] = lambda: None,
    ) -> Build:
        """Build and publish under the policy in force (see `policy`); arguments: further ones of dbt's build.

        before_publication: called when the models are done; raising there makes a failed build of this one.
        Raises BuildFailedError, leaving the build failed.
        """
        policy = Policy.load(PROJECT_FILE, os.environ)
        with open_session(
            self.warehouse, self.project, policy, as_of=as_of, requested_by="a test", full_reason=full_reason
        ) as session:
            self._run(session.dbt_before_fits(*arguments))
            fit_attribution(self.warehouse, policy)
            fit_spread(self.warehouse, policy)
            self._run(session.dbt_after_fits(*arguments))
            before_publication()
            session.publish()
            return session.build

    @staticmethod
    def _run(invocation: Invocation) -> list[dict[str, Any]]:
        events = list(invocation)
        if invocation.failures:
            raise BuildFailedError(invocation.failures)
        return events

    def dbt(self, *arguments: str) -> list[dict[str, Any]]:
        """A plain dbt command, outside of any build of ours; its events. Raises BuildFailedError."""
        return self._run(Invocation(self.project, arguments))

    def marts(self, schema: str = "marts") -> Marts:
        """Every mart as published, or as it stands in `candidate`; rows sorted by grain."""
        with self.warehouse.connect() as connection:
            return {table: read_mart(connection, table, schema=schema) for table in GRAINS | FITTED_GRAINS}

    def expected(self, feeds: Feeds, as_of: datetime, overrides: Mapping[str, Any] | None = None) -> Marts:
        """What the oracle makes of these feeds, in order of arrival."""
        return marts_of(feeds, as_of, POLICY | (overrides or {}), fingerprint=self.fingerprint)

    def lever_counts(self) -> dict[tuple[str, str, int], tuple[int, ...]]:
        """What the levers are fitted to, over all groups of trees."""
        query = """
            select
                segment_kind, segment, sent_by_user,
                sum(users), sum(opened_invites), sum(joins_opened), sum(joins_unopened), sum(joins_near_horizon)
            from intermediate.int_lever_counts
            group by segment_kind, segment, sent_by_user
        """
        with self.warehouse.connect() as connection:
            return {row[:3]: tuple(map(int, row[3:])) for row in connection.execute(query)}

    def expected_lever_counts(
        self, feeds: Feeds, as_of: datetime, overrides: Mapping[str, Any]
    ) -> dict[tuple[str, str, int], tuple[int, ...]]:
        """The same by the oracle."""
        numbers = POLICY | overrides
        return lever_counts(referrals_of(feeds, as_of, numbers, self.fingerprint, trimmed_lower), as_of, numbers)

    def fingerprint(self, feed: str, record: Record) -> bytes:
        """The SHA-256 by which the engine tells versions of a record apart."""
        line = json.dumps(record).encode()
        return self._validators[feed].check([1], [line]).columns["record_sha256"][0]


@contextmanager
def policy(overrides: Mapping[str, Any]) -> Iterator[None]:
    """These numbers of the policy, overridden as an operator does it: by the environment."""
    with mock.patch.dict(os.environ, {name.upper(): str(value) for name, value in overrides.items()}):
        yield


def assert_same(found: Marts, expected: Marts, what: str) -> None:
    """Raise AssertionError unless every expected mart holds the same rows; what: of which two things this speaks."""
    assert expected.keys() >= GRAINS.keys()
    reports = [differences(table, found[table], rows) for table, rows in expected.items()]
    told = "\n".join(report for report in reports if report)
    assert not told, f"{what}\n{told}"
