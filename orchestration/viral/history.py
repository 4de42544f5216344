"""[pure] Who joined when, and which joins are credited to whom, cut to what was known at an instant.

Times come in days since 1970 UTC and are kept in whole microseconds: what happened at the very instant, or after just
the horizon, then falls on the same side as in SQL.
"""

from dataclasses import dataclass

import numpy as np

HOUR = 3_600_000_000
DAY = 24 * HOUR
GROUPS = 64
"""Referral trees are dealt to so many groups; users and joins carry the group of their tree."""


@dataclass(frozen=True, eq=False)
class History:
    """Users, and joins credited to an inviter; make one with History.of. Times and lags in whole microseconds.

    joined, group: by user, ordered by joined. inviter_joined, lag, join_group, is_net: by join, ordered by when it
    came, which is inviter_joined + lag = came. is_net: not flagged as fraud. groups: number of them.
    """

    joined: np.ndarray
    group: np.ndarray
    inviter_joined: np.ndarray
    lag: np.ndarray
    join_group: np.ndarray
    is_net: np.ndarray
    came: np.ndarray
    groups: int = GROUPS

    @classmethod
    def of(
        cls,
        *,
        joined: np.ndarray,
        group: np.ndarray,
        inviter_joined: np.ndarray,
        lag: np.ndarray,
        join_group: np.ndarray,
        is_net: np.ndarray,
        groups: int = GROUPS,
    ) -> "History":
        """Checked and ordered; the order of the rows makes no difference.

        joined, inviter_joined: days since 1970 UTC. lag: days from the inviter's join to the invitee's.
        Raises ValueError for columns of unequal length, a time or lag below 0 or not finite, a group outside
        0..groups - 1, and a join whose inviter's time is not one of a user.
        """
        users = _columns(joined=joined, group=group)
        joins = _columns(inviter_joined=inviter_joined, lag=lag, join_group=join_group, is_net=is_net)
        at, by, after = (microseconds(name, days) for name, days in (
            ("joined", users["joined"]), ("inviter_joined", joins["inviter_joined"]), ("lag", joins["lag"]),
        ))  # fmt: skip
        of_user, of_join = (_checked_groups(column, groups) for column in (users["group"], joins["join_group"]))
        net = joins["is_net"].astype(bool)
        order = np.lexsort((of_user, at))
        at, of_user = at[order], of_user[order]
        if len(by) and (len(at) == 0 or (at[np.minimum(np.searchsorted(at, by), len(at) - 1)] != by).any()):
            raise ValueError("a join was brought at a time at which no user joined: whose join was it?")
        rows = np.lexsort((net, of_join, by, by + after))
        by, after, of_join, net = (column[rows] for column in (by, after, of_join, net))
        return cls(at, of_user, by, after, of_join, net, by + after, groups)

    def known(self, as_of: int) -> "History":
        """What had happened by then (microseconds since 1970 UTC), that instant included."""
        users, joins = np.searchsorted(self.joined, as_of, "right"), np.searchsorted(self.came, as_of, "right")
        by_join = (self.inviter_joined, self.lag, self.join_group, self.is_net, self.came)
        return History(self.joined[:users], self.group[:users], *(column[:joins] for column in by_join), self.groups)


def microseconds(name: str, days: np.ndarray | float) -> np.ndarray:
    """Days as whole microseconds. Raises ValueError for a number below 0 or not finite, naming it."""
    days = np.asarray(days, dtype=float)
    if not (np.isfinite(days) & (days >= 0)).all():
        raise ValueError(f"{name} is below 0 or not finite")
    return np.rint(days * DAY).astype(np.int64)


def _columns(**columns: np.ndarray) -> dict[str, np.ndarray]:
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    shapes = {name: column.shape for name, column in arrays.items()}
    if len(set(shapes.values())) != 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise ValueError(f"{shapes}: expected columns of one length")
    return arrays


def _checked_groups(column: np.ndarray, groups: int) -> np.ndarray:
    whole = column.astype(np.int64)
    if (whole != column).any() or ((whole < 0) | (whole >= groups)).any():
        raise ValueError(f"a group is outside 0..{groups - 1}")
    return whole
