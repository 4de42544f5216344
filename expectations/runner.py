"""Judges rows by a suite with Great Expectations: rows in, plain outcome out.

The rows are figures that the warehouse has computed (one per load, or one per table), so a load of a million
records costs one aggregate there and a few rows here, and no password passes through the library.
Its import takes seconds: it happens at the first call, or beforehand in warm_up().
"""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from threading import Lock, Thread
from typing import Any

from .outcome import Finding, Outcome
from .suite import BETWEEN, Expectation, Suite

EXAMPLES = 5
RESULT_FORMAT = {"result_format": "COMPLETE", "include_unexpected_rows": False}

_first_use = Lock()


class JudgementError(Exception):
    """Great Expectations could not evaluate an expectation: the suite or its rows are wrong, not the data."""


def warm_up() -> Thread:
    """Import Great Expectations in the background, while something else is waited for."""
    thread = Thread(target=_batches, name="great-expectations-import", daemon=True)
    thread.start()
    return thread


def evaluate(suite: Suite, rows: Sequence[Mapping[str, Any]]) -> Outcome:
    """Judge rows (column to value; all with the same columns) by the suite.

    Numeric columns may hold None: such a row is not judged there. Raises JudgementError when an expectation
    cannot be evaluated.
    """
    findings = [Finding(one, passed=True, judged=0) for one in suite.expectations]
    waiting = [place for place, one in enumerate(suite.expectations) if _has_something_to_judge(one, rows)]
    if waiting:
        found = _validate(suite, [suite.expectations[place] for place in waiting], rows)
        for place, finding in zip(waiting, found, strict=True):
            findings[place] = finding
    return Outcome(suite.name, tuple(findings))


def _has_something_to_judge(expectation: Expectation, rows: Sequence[Mapping[str, Any]]) -> bool:
    return expectation.type != BETWEEN or any(row[expectation.column] is not None for row in rows)


def _validate(suite: Suite, expectations: Sequence[Expectation], rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """What Great Expectations finds, in the order of the expectations."""
    definition = _batches()
    import great_expectations as gx
    import pandas as pd
    from great_expectations.expectations.registry import get_expectation_impl

    columns = {one.column: one.type == BETWEEN for one in expectations}
    numbers = {column: "float64" for column, is_number in columns.items() if is_number}
    frame = pd.DataFrame(rows, columns=list(columns)).astype(numbers)
    batch = definition.get_batch({"dataframe": frame})
    native = [
        get_expectation_impl(one.type)(**one.kwargs, severity=one.severity.value, meta={"position": position})
        for position, one in enumerate(expectations)
    ]
    validated = batch.validate(gx.ExpectationSuite(suite.name, expectations=native), result_format=RESULT_FORMAT)
    results = sorted(validated.results, key=lambda result: result.expectation_config.meta["position"])
    return [_finding(one, result, suite, rows) for one, result in zip(expectations, results, strict=True)]


def _batches() -> Any:
    with _first_use:
        return _batch_definition()


@cache
def _batch_definition() -> Any:
    """Where Great Expectations takes its frames from; made once per process, with nothing kept on disk."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    asset = context.data_sources.add_pandas("figures").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("all")


def _finding(expectation: Expectation, result: Any, suite: Suite, rows: Sequence[Mapping[str, Any]]) -> Finding:
    if not result.result:
        raise JudgementError(f"{suite.name}: {expectation.type} on {expectation.column}: {_error(result)}")
    found = result.result
    judged = found.get("element_count", len(rows)) - found.get("missing_count", 0)
    if result.success:
        return Finding(expectation, passed=True, judged=judged)
    if "unexpected_index_list" not in found:
        # Sets come in the order of their hashes, which differs from one process to the next.
        differing = {
            name: sorted(found.get(f"partial_{name}_list") or (), key=str) for name in ("unexpected", "missing")
        }
        unexpected = len(differing["unexpected"]) + len(differing["missing"])
        return Finding(expectation, False, len(rows), unexpected, observed=differing)
    broken = tuple(int(position) for position in found["unexpected_index_list"])
    values = {position: float(rows[position][expectation.column]) for position in broken}
    ranked = sorted(broken, key=lambda position: -_excess(expectation, values[position]))
    columns = (*suite.row_key, expectation.column)
    return Finding(
        expectation,
        passed=False,
        judged=judged,
        unexpected=len(broken),
        observed=values[ranked[0]],
        examples=tuple({name: rows[position][name] for name in columns} for position in ranked[:EXAMPLES]),
        rows=broken,
    )


def _excess(expectation: Expectation, value: float) -> float:
    """How far a value lies outside its bounds."""
    least, most = expectation.kwargs.get("min_value", value), expectation.kwargs.get("max_value", value)
    return max(least - value, value - most)


def _error(result: Any) -> str:
    """The message of the first exception in a result, which lies one level deeper when a metric raised it."""
    info = result.exception_info or {}
    found = [info, *(one for one in info.values() if isinstance(one, dict))]
    return next((one["exception_message"] for one in found if one.get("exception_message")), "no result")
