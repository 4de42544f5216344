"""Referral forests by walking: every user climbs to the root alone, with the path that was taken in hand."""

from collections.abc import Sequence

Row = tuple[str, str | None, float | None]
"""Child, parent (None: nobody), time (None: not known)."""
Edge = tuple[str, str, str]
"""Child, parent, reason of refusal."""


def forest(rows: Sequence[Row], *, timed: bool) -> tuple[dict[str, str], list[Edge]]:
    """(parent of each user who has one, refused edges), by the rules one row at a time.

    timed: rows count in the order of time, unknown ones last, ties by parent; else as they stand.
    """
    far = float("inf")
    known = [far if time is None else time for _, _, time in rows]
    ordered = sorted(zip(rows, known, strict=True), key=lambda one: (one[1], one[0][1] or "")) if timed else None
    parents: dict[str, str] = {}
    refused: list[Edge] = []
    for child, parent, _ in [row for row, _ in ordered] if ordered is not None else rows:
        if parent is None:
            continue
        if parent == child:
            refused.append((child, parent, "self"))
        elif child not in parents:
            parents[child] = parent
        else:
            refused.append((child, parent, "repeated" if parents[child] == parent else "second_parent"))
    joined = join_times(rows)
    while (cycle := _a_cycle(parents)) is not None:
        first = min(cycle, key=lambda user: (joined.get(user, far), user))
        refused.append((first, parents.pop(first), "cycle"))
    return parents, sorted(refused)


def join_times(rows: Sequence[Row]) -> dict[str, float]:
    """The earliest known time of each child."""
    times: dict[str, float] = {}
    for child, _, time in rows:
        if time is not None:
            times[child] = min(time, times.get(child, time))
    return times


def users_of(rows: Sequence[Row]) -> list[str]:
    """Everybody named, by code point."""
    return sorted({user for child, parent, _ in rows for user in (child, parent) if user is not None})


def line(user: str, parents: dict[str, str]) -> list[str]:
    """The user, their parent, ... up to the root; for parents without a cycle."""
    climbed = [user]
    while climbed[-1] in parents:
        climbed.append(parents[climbed[-1]])
    return climbed


def descendants(user: str, users: Sequence[str], parents: dict[str, str]) -> int:
    """Everybody else on whose line the user stands."""
    return sum(user in line(other, parents)[1:] for other in users)


def _a_cycle(parents: dict[str, str]) -> list[str] | None:
    for start in parents:
        climbed = [start]
        while climbed[-1] in parents:
            above = parents[climbed[-1]]
            if above in climbed:
                return climbed[climbed.index(above) :]
            climbed.append(above)
    return None
