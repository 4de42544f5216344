"""One build from its lock to its end: opened, transformed, audited, published, or failed with a reason."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from orchestration.policy import Policy
from orchestration.warehouse import Warehouse, builds, ledger
from orchestration.warehouse.builds import Build
from orchestration.warehouse.locks import DBT_APPLICATION_NAME, BuildLock
from orchestration.warehouse.publication import Published, figures, publish
from orchestration.warehouse.reads import sample_rows
from orchestration.warehouse.sessions import cancel_statements

from .dbt import Failure, Invocation
from .project import FITTED, Project

NOT_PUBLISHED = "ended before its publication"
# Builds that fail alike, each with its new loads held, before the loads are no longer suspected.
GIVE_UP_AFTER = 3
# Unit tests judge the formulas, not the data: they run where the code is tested.
BUILD_ARGUMENTS = ("build", "--exclude-resource-type", "unit_test")
# A view holds no data and stands as long as the code stays: a fifth of the nodes. Its tests still run.
VIEWS = "config.materialized:view"


class BuildFailedError(Exception):
    """A blocking check or a model failed: nothing was published; the message says what was held."""


@dataclass
class BuildSession:
    """A running build, with the lock that keeps others out. Made by `open_session`."""

    warehouse: Warehouse
    project: Project
    policy: Policy
    build: Build
    connection: Any
    ended: bool = False

    @property
    def build_id(self) -> int:
        """Its number in ops.builds."""
        return self.build.build_id

    def dbt(self, *selection: str) -> Invocation:
        """dbt's build of these models and their tests, to be iterated; of all when nothing is selected."""
        if self.build.is_full:
            selection = ("--full-refresh", *selection)
        cancel = partial(cancel_statements, self.warehouse, DBT_APPLICATION_NAME)
        return Invocation(self.project, [*BUILD_ARGUMENTS, *selection], self.build_id, cancel)

    def dbt_before_fits(self, *arguments: str) -> Invocation:
        """The models that need no fit; views only where they may have changed."""
        if self.build.is_full:
            return self.dbt("--exclude", *FITTED, *arguments)
        # Tests are selected by where they stand, not by what they test: those of views run.
        return self.dbt("--exclude", VIEWS, *FITTED, "--indirect-selection", "empty", *arguments)

    def dbt_after_fits(self, *arguments: str) -> Invocation:
        """The models that show, or need, what was fitted from the others."""
        return self.dbt("--select", *FITTED, *arguments)

    def examples(self, failure: Failure, limit: int = 5) -> list[dict[str, Any]]:
        """Some of the rows that a failed test found."""
        if failure.compiled is None or not failure.rows:
            return []
        with self.warehouse.connect() as connection:
            return sample_rows(connection, failure.compiled, limit)

    def publish(self) -> list[Published]:
        """Bring marts to the candidate's state and end the build, in one transaction."""

        def end(connection: Any, published: list[Published]) -> None:
            builds.mark_published(connection, self.build_id, figures(published))

        with self.warehouse.connect("marketing publication", autocommit=True) as connection:
            published = publish(
                connection,
                self.project.marts,
                is_full=self.build.is_full,
                recredits=self.build.recredits,
                rows_before=builds.published_rows(connection),
                end_build=end,
            )
        self.ended = True
        return published

    def fail(self, reason: str, failed: Sequence[str] = ()) -> None:
        """End the build without publication; failed: names of what failed. Calling it again changes nothing."""
        if not self.ended:
            builds.fail_build(self.connection, self.build_id, reason, failed)
            self.ended = True

    def fail_audit(self, reason: str, failed: Sequence[str]) -> BuildFailedError:
        """End the build and hold the loads that it was the first to see, so that the next good one is built.

        When builds keep failing in the same way although their new loads were held, the loads are not the cause:
        then nothing more is held. Returns the error to raise.
        """
        streak = builds.failed_alike(self.connection, self.build_id, failed)
        suspects = builds.claimed_loads(self.connection, self.build_id) if len(streak) < GIVE_UP_AFTER else []
        return self._fail_holding(suspects, reason, failed, len(streak))

    def fail_models(self, reason: str, failed: Sequence[str]) -> BuildFailedError:
        """End the build after an error in its models, which says nothing about the data when it comes once.

        When it comes again, the loads that both builds were given are held: else a value that no model can take
        would stop every build. Returns the error to raise.
        """
        streak = builds.failed_alike(self.connection, self.build_id, failed)
        suspects = []
        if 0 < len(streak) <= GIVE_UP_AFTER:
            suspects = builds.claimed_loads(self.connection, self.build_id, before_build=streak[0])
        return self._fail_holding(suspects, reason, failed, len(streak))

    def _fail_holding(
        self, suspects: Sequence[int], reason: str, failed: Sequence[str], earlier: int
    ) -> BuildFailedError:
        ledger.hold(self.connection, suspects, f"build {self.build_id} failed: {reason}")
        self.fail(reason, failed)
        told = f"build {self.build_id} was not published: {reason}"
        if suspects:
            told += f"; held: loads {', '.join(map(str, suspects))}"
        elif earlier >= GIVE_UP_AFTER:
            told += f"; {earlier} builds before it failed alike although loads were held: these are not the cause"
        return BuildFailedError(told)


@contextmanager
def open_session(
    warehouse: Warehouse,
    project: Project,
    policy: Policy,
    *,
    as_of: datetime | None,
    requested_by: str,
    run_id: str | None = None,
    full_reason: str | None = None,
    wait_seconds: float = 0,
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[BuildSession]:
    """Take the build lock, open a build and yield its session; a build that was not published has failed.

    as_of: the present of the build, None for the clock. full_reason: rebuild everything although nothing asks
    for it. wait_seconds: how long to wait for another build; BuildRunningError after that.
    """
    with (
        warehouse.connect(f"marketing build, {requested_by}", autocommit=True) as connection,
        BuildLock(connection) as lock,
    ):
        lock.take(wait_seconds=wait_seconds, on_wait=lambda holder: tell(f"waiting for another build: {holder}"))
        build = builds.open_build(
            connection,
            as_of=as_of,
            policy_sha256=project.policy_sha256(policy),
            code_sha256=project.code_sha256,
            requested_by=requested_by,
            run_id=run_id,
            full_reason=full_reason,
        )
        kind = f"full ({build.full_reason})" if build.is_full else f"incremental from build {build.base_build_id}"
        if build.recredits:
            kind += f", every conversion credited anew by calibration {build.calibration_id}"
        tell(f"build {build.build_id}, {kind}, as of {build.as_of:%Y-%m-%d %H:%M:%S} UTC: {build.new_loads} new loads")
        builds.refresh_statistics(connection)
        session = BuildSession(warehouse, project, policy, build, connection)
        try:
            yield session
        except BaseException as error:
            session.fail(f"{type(error).__name__}: {error}")
            raise
        session.fail(NOT_PUBLISHED)
