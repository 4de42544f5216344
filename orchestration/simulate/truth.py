"""What a world's parameters came to in one draw: K per cohort, causal share per channel, counts."""

from dataclasses import asdict
from itertools import pairwise

import numpy as np

from orchestration.simulate.calendar import iso, iso_day
from orchestration.simulate.draw import Draw
from orchestration.simulate.journeys import NOBODY, days
from orchestration.simulate.lifecycle import CONVERSION_TYPES, SIGNUP
from orchestration.simulate.referrals import KINDS, REAL, RING, programme_start
from orchestration.simulate.world import DAY, USER_TYPES


def truth_of(draw: Draw, feeds: dict[str, dict[str, int]], files: list[str]) -> dict[str, object]:
    """The content of truth.json; feeds: counts of records and dirt, files: written, relative to the folder."""
    span = draw.span
    return {
        "world": asdict(draw.world),
        "seed": draw.streams.seed,
        "start": iso(span.start),
        "quarter_start": iso(span.quarter),
        "until": iso(span.until),
        "people": {
            "prospects": len(draw.prospects),
            "seed_users": int((draw.users.generation == 0).sum()),
            "users": len(draw.users),
            "fake_users": int(draw.users.fake.sum()),
            "users_by_generation": np.bincount(draw.users.generation).tolist(),
        },
        "viral": viral_truth(draw),
        "causal": {
            "all": causal_truth(draw, np.ones(len(draw.conversions), dtype=bool)),
            "quarter": causal_truth(draw, draw.conversions.time >= span.quarter),
            "by_conversion_type": {
                name: causal_truth(draw, draw.conversions.kind == kind) for kind, name in enumerate(CONVERSION_TYPES)
            },
            "by_effects_in_force": _by_era(draw),
        },
        "conversions": {name: int((draw.conversions.kind == kind).sum()) for kind, name in enumerate(CONVERSION_TYPES)},
        "feeds": feeds,
        "files": files,
    }


def credited_edges(draw: Draw) -> np.ndarray:
    """Indices of users whom another person's invite brought: no fakes, and nobody of a ring."""
    users, invites = draw.users, draw.invites
    credited = (users.inviter != NOBODY) & ~users.fake
    # In a ring the friend who invites back was brought by the one whose second account joins.
    credited[invites.inviter[invites.kind == RING]] = False
    return np.flatnonzero(credited)


def viral_truth(draw: Draw) -> dict[str, object]:
    """K within the horizon, as drawn from and as realised per cohort day and pooled."""
    world, users, span = draw.world, draw.users, draw.span
    horizon = days(world.horizon_days)
    child = credited_edges(draw)
    parent = users.inviter[child]
    within = users.joined[child] - users.joined[parent] <= horizon
    first = span.start // DAY
    size = span.until // DAY - first + 1
    cohort = users.joined // DAY - first
    members = np.bincount(cohort, minlength=size)
    joins = np.bincount(cohort[parent[within]], minlength=size)
    sends = np.bincount(cohort[draw.invites.inviter[_counted(draw, horizon)]], minlength=size)
    number = np.arange(size) + first
    mature = (number + 1) * DAY + horizon <= span.until
    opened = number * DAY >= programme_start(world, span)
    latest = np.flatnonzero(mature)[-28:]
    pooled = mature & opened
    return {
        "k": world.k,
        "horizon_days": world.horizon_days,
        "invites_per_user": world.invites_per_user,
        "horizon_share_of_joins": world.horizon_share,
        "programme_start": iso(programme_start(world, span)),
        "realised_k_pooled": _ratio(joins[pooled].sum(), members[pooled].sum()),
        "realised_k_latest_28_mature": _ratio(joins[latest].sum(), members[latest].sum()),
        "by_user_type": _by_user_type(draw, parent[within], cohort, pooled),
        "invites_by_kind": {name: int((draw.invites.kind == kind).sum()) for kind, name in enumerate(KINDS)},
        "by_cohort": [
            {
                "cohort_on": iso_day(int(number[place])),
                "users": int(members[place]),
                "invites_within_horizon": int(sends[place]),
                "joins_within_horizon": int(joins[place]),
                "k": _ratio(joins[place], members[place]),
                "mature": bool(mature[place]),
            }
            for place in range(size)
        ],
    }


def _by_user_type(draw: Draw, parent: np.ndarray, cohort: np.ndarray, pooled: np.ndarray) -> dict[str, object]:
    """Expected and realised K of each type of user; parent: inviter of each join that counts; pooled: cohorts."""
    world, types = draw.world, draw.users.user_type
    mean = world.supplier_share * world.supplier_invites + 1 - world.supplier_share
    expected = (world.k * world.supplier_invites / mean, world.k / mean)
    member = pooled[cohort]
    return {
        name: {
            "k": expected[code],
            "realised_k_pooled": _ratio((types[parent[member[parent]]] == code).sum(), (types[member] == code).sum()),
        }
        for code, name in enumerate(USER_TYPES)
    }


def _counted(draw: Draw, horizon: int) -> np.ndarray:
    """Real invites sent within the horizon of the inviter's own join."""
    invites = draw.invites
    return np.flatnonzero((invites.kind == REAL) & (invites.sent - draw.users.joined[invites.inviter] <= horizon))


def causal_truth(draw: Draw, among: np.ndarray) -> dict[str, object]:
    """Conversions among those marked that are lost when a channel is switched off with the same draws.

    share: of conversions whose own causes all are of the channel, normalised over channels: what
    attribution of that conversion can know. cascade_share: also those lost because something before
    them was: a trial without its sign-up, a friend without the inviter.
    """
    names = draw.world.channel_names
    sole = draw.conversions.sole
    lost = np.bincount(sole[among & (sole != NOBODY)], minlength=len(names))
    cascade = np.array([int(lost_without(draw, code)[among].sum()) for code in range(len(names))])
    trigger = draw.conversions.trigger
    led = np.bincount(trigger[among & (trigger >= 0)], minlength=len(names))
    share, cascade_share, trigger_share = (
        dict(zip(names, _shares(counts), strict=True)) for counts in (lost, cascade, led)
    )
    return {
        "conversions": int(among.sum()),
        "own_accord": int((among & (trigger < 0)).sum()),
        "lost": dict(zip(names, lost.tolist(), strict=True)),
        "share": share,
        "trigger_share": trigger_share,
        "cascade_lost": dict(zip(names, cascade.tolist(), strict=True)),
        "cascade_share": cascade_share,
    }


def lost_without(draw: Draw, channel: int) -> np.ndarray:
    """Whether each conversion is lost when a channel is off: by its own causes, or by what came before it."""
    conversions, users = draw.conversions, draw.users
    lost = conversions.sole == channel
    signup = lost[: len(users)]
    invited = (users.inviter != NOBODY) & ~users.anyway
    for generation in range(1, int(users.generation.max(initial=0)) + 1):
        here = np.flatnonzero(invited & (users.generation == generation))
        signup[here] |= signup[users.inviter[here]]
    for kind in range(SIGNUP + 1, len(CONVERSION_TYPES)):
        # Renewals stand in order of their periods, so a chain is followed period by period.
        here = np.flatnonzero(conversions.kind == kind)
        pending = here
        while len(pending):
            newly = pending[~lost[pending] & lost[conversions.before[pending]]]
            lost[newly] = True
            pending = here if len(newly) and kind == len(CONVERSION_TYPES) - 1 else here[:0]
    return lost


def _by_era(draw: Draw) -> list[dict[str, object]]:
    """Causal shares between the dates at which effects change."""
    edges = [draw.span.start]
    changes = sorted({change.days_before_until for change in draw.world.effect_changes}, reverse=True)
    edges += [draw.span.until - days(change) for change in changes]
    edges.append(draw.span.until + 1)
    time = draw.conversions.time
    return [
        {"since": iso(since), **causal_truth(draw, (time >= since) & (time < end))} for since, end in pairwise(edges)
    ]


def _shares(counts: np.ndarray) -> list[float]:
    total = counts.sum()
    return [float(count / total) if total else 0.0 for count in counts]


def _ratio(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
