"""A referral forest from a file of edges that anybody may have written, and all that it says by itself.

Here are the reading of such a file (columns, times, what to do with a bad line) and the report. The figures themselves
are those of forest and offspring. No warehouse, no policy, no horizon: what the list holds counts, and no more.

Columns: parent, child, and time if there is one: the child's join. A header names them in any order, by these names or
by those of ALIASES; further columns are left alone. Without a header they stand in that order.
"""

import csv
import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from math import inf, isfinite, isinf
from pathlib import Path
from typing import Literal

import numpy as np

from .forest import NOBODY, CycleTime, Forest, Generation, Reason, Refusal, amplification, build_forest
from .offspring import (
    extinction_probability,
    fit_offspring,
    k_without_top,
    measured_share_of_inviters,
    outbreak_probability,
)

STDIN = Path("-")
ALIASES = {
    "parent": ("inviter", "referrer", "invited_by", "referred_by", "from", "source"),
    "child": ("invitee", "referee", "invited", "referred", "user", "user_id", "to", "target"),
    "time": ("timestamp", "date", "datetime", "joined", "joined_at", "joined_on", "signed_up_at", "created_at"),
}
"""Other names of a column, taken where its own is missing; spaces and hyphens count as underscores, case does not."""
DELIMITERS = ",;\t"
NOTHING = {"null", "none", "nan", "\\n"}
"""How programs write an empty cell. As ids they would make one inviter of all seeds."""
SAMPLE_LINES = 100
SHOWN_PROBLEMS = 10
SHOWN_REFUSALS = 2
LONGEST_SHOWN = 60
LONG_SPAN_DAYS = 36525
"""100 years: numbers further apart are seconds rather than days."""
SIZES = {"1": (1, 1), "2": (2, 2), "3-9": (3, 9), "10-99": (10, 99), "100+": (100, inf)}
"""Classes of trees by their users: both ends are in."""
SECONDS_PER_DAY = 86400

# float() would take nan, 1_000 and other scripts' digits too.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_COMPACT_DATE = re.compile(r"\d{8}", re.ASCII)
_NOT_TEXT = re.compile("[\udc80-\udcff\0]")
_EXPECTED = "write 2024-12-31, 2024-12-31T10:00:00Z, or a number of days"

Kind = Literal["dates", "days"]


class EdgeListError(ValueError):
    """Nothing in the file can be reported on; the message names it, says why, and what would help."""


@dataclass(frozen=True)
class Problem:
    """A line left out. line: from 1, blank ones counted. field: of the line; None where the line itself is broken."""

    line: int
    field: str | None
    value: str
    reason: str


@dataclass(frozen=True, eq=False)
class EdgeList:
    """What could be read: one entry per good line in children, parents (None: nobody) and times.

    times: in days, NaN where not known; None where the file gives none. columns: what each is called in the file, None
    without a header. problems: all, by line. notes: how the file was understood where that is not plain.
    """

    source: str
    columns: dict[str, str] | None
    children: list[str]
    parents: list[str | None]
    times: np.ndarray | None
    kind: Kind | None
    problems: list[Problem]
    notes: list[str]


@dataclass(frozen=True)
class Times:
    """kind: dates, or days by number. first, last: ISO 8601 or the number. users_with: users whose time is known."""

    kind: Kind
    first: str | float
    last: str | float
    users_with: int


@dataclass(frozen=True)
class Spread:
    """How many users those of one group bring. realised_k = brought / users.

    dispersion: k of the fitted negative binomial with its interval at 95 %, infinite for Poisson or without a bound;
    None where nobody was brought, and then the interval is everything. outbreak: probability that the spread from one
    user never dies out, if all users brought others as these do. share_for_80: of the group's users, who bring 80 % of
    what it brought; None where that is nobody. k_without_top: without the top 1 % of its inviters.
    """

    group: Literal["seeds", "after seeds", "all"]
    users: int
    inviters: int
    brought: int
    realised_k: float
    dispersion: float | None
    dispersion_low: float
    dispersion_high: float
    is_poisson: bool
    outbreak: float
    extinction: float
    share_for_80: float | None
    k_without_top: float | None


@dataclass(frozen=True)
class TreeSizes:
    """Users per tree, the seed included. median, p90: interpolated. depth: generations below the seed of the deepest.

    trees_by_size: SIZES -> number of trees; amplification: 1 / (1 - k_pooled), which is the mean.
    """

    mean: float
    amplification: float
    median: float
    p90: float
    largest: int
    largest_seed: str
    depth: int
    trees_by_size: dict[str, int]


@dataclass(frozen=True)
class Refused:
    """Edges left out for one reason; examples: the first by code point of the child."""

    reason: Reason
    edges: int
    examples: tuple[Refusal, ...]


@dataclass(frozen=True)
class EdgeReport:
    """All that a list of edges says. lines: good ones and those left out. problems: the first of those, by line.

    k_pooled, k_of_seeds, k_after_seeds: as Forest has them. spread: seeds, after seeds, all. cycle_time: in days; None
    without times.
    """

    source: str
    columns: dict[str, str] | None
    lines: int
    lines_left_out: int
    problems: tuple[Problem, ...]
    refused: tuple[Refused, ...]
    times: Times | None
    users: int
    seeds: int
    referred: int
    k_pooled: float
    k_of_seeds: float
    k_after_seeds: float
    spread: tuple[Spread, ...]
    generations: tuple[Generation, ...]
    trees: TreeSizes
    cycle_time: CycleTime | None
    notes: tuple[str, ...]


def read_edges(path: Path) -> EdgeList:
    """The edges of a file, or of standard input for STDIN: CSV with comma, semicolon or tab, UTF-8, gzip or not.

    A time is an ISO 8601 date or time (UTC unless it says otherwise) or a number of days, one of both in the whole
    file: lines of the rarer kind are problems, like those without a child, of the wrong width, or not to be read. Each
    line is a record by itself, so that a stray quote costs no other line. Cells lose the spaces around them.
    Raises EdgeListError where the file as a whole cannot be read, OSError as reading it does.
    """
    source = "standard input" if path == STDIN else str(path)
    lines = enumerate(_text(path, source), start=1)
    head = [(number, line) for number, line in islice(lines, SAMPLE_LINES) if line.strip()]
    if not head:
        raise EdgeListError(f"{source} is empty: expected lines of parent,child or parent,child,time")
    delimiter, header = _layout([line for _, line in head], f"{source}, line {head[0][0]}")
    rows = _Rows(delimiter, header)
    rows.take(head[1:] if header else head)
    rows.take(lines)
    return rows.edges(source)


def report(edges: EdgeList) -> EdgeReport:
    """What the list says; the same whatever the order of its lines, if it has times. Without: see build_forest.

    Raises EdgeListError where no edge counts.
    """
    forest = build_forest(edges.children, edges.parents, edges.times)
    refused = _refused(forest)
    if forest.referred == 0:
        raise EdgeListError(_why_nothing(edges, refused))
    of_seeds = forest.parent == NOBODY
    return EdgeReport(
        source=edges.source,
        columns=edges.columns,
        lines=len(edges.children) + len(edges.problems),
        lines_left_out=len(edges.problems),
        problems=tuple(edges.problems[:SHOWN_PROBLEMS]),
        refused=refused,
        times=_times(edges, forest),
        users=len(forest.users),
        seeds=forest.seeds,
        referred=forest.referred,
        k_pooled=forest.k_pooled,
        k_of_seeds=forest.k_of_seeds,
        k_after_seeds=forest.k_after_seeds,
        spread=(
            _spread("seeds", forest.children[of_seeds]),
            _spread("after seeds", forest.children[~of_seeds]),
            _spread("all", forest.children),
        ),
        generations=tuple(forest.generations),
        trees=_tree_sizes(forest),
        cycle_time=None if edges.times is None else forest.cycle_time(),
        notes=(*edges.notes, *_notes(edges, forest)),
    )


def as_json(told: EdgeReport) -> dict[str, object]:
    """The report for json.dumps. Infinite has no JSON: null, and is_poisson says it of a dispersion."""
    generations = [{**vars(one), "realised_k": one.realised_k} for one in told.generations]
    return {**_without_infinity(asdict(replace(told, generations=()))), "generations": generations}


def _without_infinity(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_infinity(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinity(one) for one in value]
    return None if isinstance(value, float) and isinf(value) else value


def shown(value: str) -> str:
    """Text of a file as a terminal may have it: no control codes, and no more than LONGEST_SHOWN characters."""
    cut = value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}..."
    return cut if cut.isprintable() else repr(cut)[1:-1]


def _text(path: Path, source: str) -> io.TextIOWrapper:
    """Its lines. What is not UTF-8 comes as _NOT_TEXT, so that only its own line is lost."""
    content = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise EdgeListError(f"{source} is gzip that cannot be unpacked ({error}): copy it anew") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise EdgeListError(f"{source} is UTF-16: save it as CSV in UTF-8")
    return io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", errors="surrogateescape")


@dataclass(frozen=True)
class _Header:
    """cells: as written. at: column -> where it stands."""

    cells: list[str]
    at: dict[str, int]


def _layout(sample: list[str], where: str) -> tuple[str, _Header | None]:
    """The delimiter, and the header if the first line is one. where: that line, for errors."""
    for delimiter in DELIMITERS:
        header = _header(_cells(sample[0], delimiter) or [], where)
        if {"parent", "child"} <= header.at.keys():
            return delimiter, header
        if header.at and len(header.cells) > 1:
            missing = " and ".join(column for column in ("parent", "child") if column not in header.at)
            raise EdgeListError(
                f"{where}: the header {shown(sample[0].strip())} does not name {missing}: call the columns parent,"
                " child and, if there are times, time"
            )
    try:
        return csv.Sniffer().sniff("".join(sample), DELIMITERS).delimiter, None
    except csv.Error:
        fitting = [one for one in DELIMITERS if any(len(_cells(line, one) or []) > 1 for line in sample)]
    if not fitting:
        raise EdgeListError(
            f"{where}: neither here nor below are there two columns: expected parent,child or parent,child,time, with"
            " commas, semicolons or tabs between them"
        )
    return fitting[0], None


def _header(cells: list[str], where: str) -> _Header:
    """The cells taken for a header. A column's own name goes before any other."""
    names = [re.sub(r"[ -]+", "_", cell.casefold()) for cell in cells]
    found = {}
    for column, aliases in ALIASES.items():
        own = [at for at, name in enumerate(names) if name == column]
        at = own or [at for at, name in enumerate(names) if name in aliases]
        if len(at) > 1:
            both = " and ".join(shown(cells[one]) for one in at)
            raise EdgeListError(
                f"{where}: the header names {column} more than once ({both}): call one of them {column}, the other "
                "something else"
            )
        if at:
            found[column] = at[0]
    return _Header(cells, found)


def _cells(line: str, delimiter: str) -> list[str] | None:
    """None for a quote that does not end where its cell does."""
    try:
        return [cell.strip() for cell in next(csv.reader((line,), delimiter=delimiter, strict=True))]
    except csv.Error:
        return None


class _Rows:
    """Good lines and problems, as they come; times are judged when all are known."""

    def __init__(self, delimiter: str, header: _Header | None) -> None:
        self._delimiter = delimiter
        self._header = header
        at = {"parent": 0, "child": 1, "time": 2} if header is None else header.at
        self._parent_at, self._child_at, self._time_at = at["parent"], at["child"], at.get("time")
        self._widths = (2, 3) if header is None else (len(header.cells),)
        self._header_cells = None if header is None else header.cells
        self._numbers: list[int] = []
        self._children: list[str] = []
        self._parents: list[str | None] = []
        self._times: list[str] = []
        self._problems: list[Problem] = []
        self._nobody: dict[str, int] = {}

    def take(self, lines: Iterable[tuple[int, str]]) -> None:
        """Lines with their numbers; blank ones are nothing."""
        for number, line in lines:
            if not line.isspace():
                self._take(number, line)

    def _take(self, number: int, line: str) -> None:
        cells = None if _NOT_TEXT.search(line) else _cells(line, self._delimiter)
        if cells is None or len(cells) not in self._widths or cells == self._header_cells:
            self._broken(number, line, cells)
            return
        child, parent = cells[self._child_at], cells[self._parent_at]
        if not child or child.casefold() in NOTHING:
            self._problem(number, "child", child, "no child: put the id of the user who joined there, or drop the line")
            return
        if parent.casefold() in NOTHING:
            self._nobody[parent] = self._nobody.get(parent, 0) + 1
            parent = ""
        self._numbers.append(number)
        self._children.append(child)
        self._parents.append(parent or None)
        at = self._time_at
        self._times.append(cells[at] if at is not None and at < len(cells) else "")

    def _broken(self, number: int, line: str, cells: list[str] | None) -> None:
        if _NOT_TEXT.search(line):
            reason = "not UTF-8 text: save the file in UTF-8"
        elif cells is None:
            reason = 'a quote that does not end: close it, or write a quote within a quoted cell as ""'
        elif cells == self._header_cells:
            reason = "the header once more: drop the line"
        else:
            wanted = " or ".join(map(str, self._widths))
            reason = f"columns: {len(cells)}, expected {wanted}: put a cell that contains the separator in quotes"
        self._problem(number, None, line.strip(), reason)

    def _problem(self, number: int, field: str | None, value: str, reason: str) -> None:
        self._problems.append(Problem(number, field, shown(value), reason))

    def edges(self, source: str) -> EdgeList:
        """All of them, without those whose time cannot be read."""
        times, kind, bad = self._read_times()
        header = self._header
        keep = np.ones(len(self._numbers), dtype=bool)
        keep[list(bad)] = False
        for at, reason in bad.items():
            self._problem(self._numbers[at], "time", self._times[at], reason)
        chosen = np.flatnonzero(keep).tolist() if bad else range(len(self._numbers))
        return EdgeList(
            source=source,
            columns=header and {column: header.cells[at] for column, at in header.at.items()},
            children=[self._children[at] for at in chosen],
            parents=[self._parents[at] for at in chosen],
            times=None if kind is None else times[keep],
            kind=kind,
            problems=sorted(self._problems, key=lambda one: one.line),
            notes=list(self._notes()),
        )

    def _read_times(self) -> tuple[np.ndarray, Kind | None, dict[int, str]]:
        """Times in days, their kind, and reasons of lines whose time cannot be read; the rarer kind is among those."""
        times = np.full(len(self._times), np.nan)
        kinds: dict[Kind, list[int]] = {"dates": [], "days": []}
        bad: dict[int, str] = {}
        for at, text in enumerate(self._times):
            if not text or text.casefold() in NOTHING:
                continue
            read = _read_time(text)
            if read is None:
                bad[at] = f"no time: {_EXPECTED}"
            else:
                times[at], kind = read
                kinds[kind].append(at)
        if not any(kinds.values()):
            return times, None, bad
        kind = max(kinds, key=lambda one: len(kinds[one]))
        other, told = ("days", "a number") if kind == "dates" else ("dates", "a date")
        reason = f"{told}, but times are read as {kind} here: write all in one way"
        bad |= dict.fromkeys(kinds[other], reason)
        return times, kind, bad

    def _notes(self) -> Iterator[str]:
        if self._header is None:
            yield "No header: the columns are taken for parent, child and, where there is a third, time."
        elif extra := [shown(one) for at, one in enumerate(self._header.cells) if at not in self._header.at.values()]:
            yield f"Columns left alone: {', '.join(extra)}."
        for parent, lines in sorted(self._nobody.items()):
            yield f"The parent {parent} is taken for nobody, as if the cell were empty: lines {lines:,}."


def _read_time(text: str) -> tuple[float, Kind] | None:
    """Days, since 1970 for a date; None for what is neither date nor number."""
    if _NUMBER.fullmatch(text) and not (_COMPACT_DATE.fullmatch(text) and _moment(text)):
        number = float(text)
        return (number, "days") if isfinite(number) else None
    moment = _moment(text)
    return None if moment is None else (moment.timestamp() / SECONDS_PER_DAY, "dates")


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _refused(forest: Forest) -> tuple[Refused, ...]:
    by_reason: dict[Reason, list[Refusal]] = {}
    for one in forest.refused:
        by_reason.setdefault(one.reason, []).append(one)
    return tuple(
        Refused(reason, len(edges), tuple(edges[:SHOWN_REFUSALS])) for reason, edges in sorted(by_reason.items())
    )


def _why_nothing(edges: EdgeList, refused: tuple[Refused, ...]) -> str:
    reasons = [f"lines that cannot be read: {len(edges.problems):,}"] if edges.problems else []
    if nobody := sum(parent is None for parent in edges.parents):
        reasons.append(f"lines without a parent: {nobody:,}")
    reasons += [f"edges refused as {one.reason.replace('_', ' ')}: {one.edges:,}" for one in refused]
    why = "; ".join(reasons) if reasons else "there is nothing below the header"
    return f"{edges.source}: no edge counts, so there is no K to tell. {why}"


def _spread(group: Literal["seeds", "after seeds", "all"], children: np.ndarray) -> Spread:
    """children: brought by each user of the group."""
    each, users = np.unique(children, return_counts=True)
    tally = dict(zip(each.tolist(), users.tolist(), strict=True))
    fit = fit_offspring(tally)
    # With nobody brought any k will do.
    k = inf if fit.k is None else fit.k
    return Spread(
        group=group,
        users=fit.users,
        inviters=fit.users - tally.get(0, 0),
        brought=fit.joins,
        realised_k=fit.r,
        dispersion=fit.k,
        dispersion_low=fit.k_low,
        dispersion_high=fit.k_high,
        is_poisson=fit.k is not None and isinf(fit.k),
        outbreak=outbreak_probability(fit.r, k),
        extinction=extinction_probability(fit.r, k),
        share_for_80=measured_share_of_inviters(tally),
        k_without_top=k_without_top(tally),
    )


def _tree_sizes(forest: Forest) -> TreeSizes:
    seeds = np.flatnonzero(forest.parent == NOBODY)
    sizes = forest.descendants[seeds] + 1
    median, p90 = np.quantile(sizes, [0.5, 0.9]).tolist()
    return TreeSizes(
        mean=forest.mean_tree_size,
        amplification=amplification(forest.k_pooled),
        median=median,
        p90=p90,
        largest=int(sizes.max()),
        # The first by code point, where several are as large.
        largest_seed=forest.users[seeds[sizes.argmax()]],
        depth=int(forest.generation.max()),
        trees_by_size={name: int(((sizes >= least) & (sizes <= most)).sum()) for name, (least, most) in SIZES.items()},
    )


def _times(edges: EdgeList, forest: Forest) -> Times | None:
    if edges.kind is None:
        return None
    known = forest.joined[~np.isnan(forest.joined)]
    first, last = float(known.min()), float(known.max())
    if edges.kind == "dates":
        first, last = _iso(first), _iso(last)
    return Times(edges.kind, first, last, len(known))


def _iso(days: float) -> str:
    # Seconds are as fine as days since 1970 can be told for sure.
    return datetime.fromtimestamp(round(days * SECONDS_PER_DAY), UTC).isoformat()


def _notes(edges: EdgeList, forest: Forest) -> Iterator[str]:
    """What makes a figure mean less than it seems to."""
    if forest.children[forest.parent == NOBODY].min() > 0:
        yield (
            "Every seed here brought somebody: if the list leaves out seeds who brought nobody, K of seeds and tree "
            "sizes are too high. Give each of them a line with an empty parent."
        )
    if edges.times is None:
        yield "No times: which of a child's parents came first is told by the order of lines, and no cycle time."
        return
    span = np.nanmax(edges.times) - np.nanmin(edges.times)
    if edges.kind == "days" and span > LONG_SPAN_DAYS:
        yield f"The times span {span / 365.25:,.0f} years: numbers are days; divide seconds by 86400."
    yield (
        "Counts are cut off at the end of the list: who joined shortly before it has not yet brought all that they "
        "will, so every K here is too low for them."
    )
