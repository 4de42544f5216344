"""[pure] What a suite is made of: claims about the columns of its rows, with bounds and a severity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

BETWEEN = "expect_column_values_to_be_between"
EQUAL_SET = "expect_column_distinct_values_to_equal_set"


class Severity(StrEnum):
    """What a broken expectation leads to; the values are Great Expectations' own."""

    BLOCKING = "critical"
    WARNING = "warning"


@dataclass(frozen=True)
class Expectation:
    """One claim. type, kwargs: as Great Expectations names them; claim: the same in words, with its bound.

    compares: it compares with what was published, so a person who asked for the change outranks it.
    """

    type: str
    kwargs: Mapping[str, Any]
    claim: str
    severity: Severity = Severity.BLOCKING
    compares: bool = False

    @property
    def column(self) -> str:
        """The column that it speaks of."""
        return self.kwargs["column"]

    def shown(self, value: Any) -> str:
        """A figure of the column as its claim speaks of it: in percent, or as a number; anything else as it is."""
        if not isinstance(value, int | float):
            return str(value)
        return percent(value) if "%" in self.claim else number(value)


@dataclass(frozen=True)
class Suite:
    """The expectations on one table. name: schema.table; row_key: the columns that name a row in an example."""

    name: str
    expectations: tuple[Expectation, ...]
    row_key: tuple[str, ...] = ()


def between(
    column: str,
    claim: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    severity: Severity = Severity.BLOCKING,
    compares: bool = False,
) -> Expectation:
    """Every value of a numeric column lies in [at_least, at_most]; a null is not judged."""
    bounds = {"min_value": at_least, "max_value": at_most}
    kwargs = {"column": column} | {name: bound for name, bound in bounds.items() if bound is not None}
    return Expectation(BETWEEN, kwargs, claim, severity, compares)


def exactly(column: str, values: Sequence[str], claim: str) -> Expectation:
    """The column holds these values, all of them and no other."""
    kwargs = {"column": column, "value_set": list(values)}
    return Expectation(EQUAL_SET, kwargs, claim)


def percent(share: float) -> str:
    """A share as people read it: 0.05 is 5 %."""
    return f"{number(share * 100)} %"


def number(value: float) -> str:
    """A number without the noise of its last digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 or float(value).is_integer() else f"{value:.4g}"
