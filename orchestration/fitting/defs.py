"""Shows a stage's fits to Dagster: one step between the models that it reads and those that show what it found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import dagster as dg

from orchestration.policy import Policy
from orchestration.warehouse import Warehouse
from orchestration.warehouse.fit_tables import INTERMEDIATE

OWNERS = ["team:marketing-automation"]


class RunningBuild(Protocol):
    """What the fits need of the resource `build`."""

    warehouse: Warehouse
    policy: Policy

    @property
    def build_id(self) -> int:
        """Its number in ops.builds."""

    def fail_models(self, reason: str, failed: Sequence[str]) -> Exception:
        """End the build without publication, and return the error that says so."""


class Fitted(Protocol):
    """What a stage fitted for a build."""

    def of(self, kind: type) -> list[Any]:
        """The rows of one table."""


def fits_asset(
    name: str,
    *,
    group: str,
    tables: Mapping[type, str],
    fills: Mapping[type, str],
    reads: Sequence[dg.AssetKey],
    fit: Callable[[Warehouse, Policy], Fitted],
    chart: Callable[[type, Any, Policy], str | None],
    description: str,
) -> dg.AssetsDefinition:
    """The asset of a stage's fits; it needs the resource `build` (RunningBuild).

    tables: of each class of rows, its table in the intermediate schema; fills: what the table holds, in words.
    reads: the models. fit: fits and stores. chart: of one table's rows, as Markdown.
    """

    @dg.multi_asset(
        name=name,
        specs=[
            dg.AssetSpec(
                [INTERMEDIATE, tables[kind]],
                deps=reads,
                description=told,
                group_name=group,
                owners=OWNERS,
                kinds={"python", "postgres"},
            )
            for kind, told in fills.items()
        ],
        required_resource_keys={"build"},
        description=description,
    )
    def fits(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        build: RunningBuild = context.resources.build
        try:
            fitted = fit(build.warehouse, build.policy)
        except Exception as error:
            # As of a model: what fails alike again must not stop every build after it.
            told = f"{name} failed: {type(error).__name__}: {error}"
            raise dg.Failure(str(build.fail_models(told, [name])), allow_retries=False) from error
        for kind in fills:
            shown: dict[str, Any] = {"build_id": build.build_id, "dagster/row_count": len(fitted.of(kind))}
            if picture := chart(kind, fitted, build.policy):
                shown["chart"] = dg.MetadataValue.md(picture)
            yield dg.MaterializeResult(asset_key=[INTERMEDIATE, tables[kind]], metadata=shown)

    return fits


def fits_selection(tables: Mapping[type, str]) -> dg.AssetSelection:
    """The assets of a stage's fits, as part of the refresh."""
    return dg.AssetSelection.assets(*([INTERMEDIATE, table] for table in tables.values()))
