"""The marts of the viral coefficient: cohorts, lags, the headline, trees, rewards, super-connectors."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.oracles.attribution import Row
from tests.oracles.feeds import Feeds, instant, visible_events
from tests.oracles.policy import Policy, number, span
from tests.oracles.rounding import UNIT, half_away, ratio
from tests.oracles.viral import Join, Referrals, User, in_order

HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
TERM = 10**24
"""Each join's part of the expected joins is rounded to 24 decimals."""


def fct_invites(referrals: Referrals, policy: Policy) -> list[Row]:
    """A row per invite. Of several joins by one invite the first credited one shows, else the first rejected one."""
    by_invite: dict[str, list[Join]] = defaultdict(list)
    for join in referrals.joins.values():
        by_invite[join.invite.invite_key].append(join)
    rows = []
    for key, invite in referrals.invites.items():
        joins = sorted(by_invite[key], key=lambda join: (join.rejected or "", join.user.joined_at, join.user.user_id))
        shown = joins[0] if joins else None
        outcome = referrals.outcomes[key]
        is_rejected = outcome not in ("credited", "pending", "expired")
        rows.append(
            {
                "invite_id": key,
                "event_id": invite.event_id,
                "inviter_id": invite.actor_id,
                "channel": invite.channel,
                "sent_at": invite.sent_at,
                "opened_at": referrals.opened.get(key),
                "joined_at": shown and shown.user.joined_at,
                "joined_user_id": shown and shown.user.user_id,
                "outcome": "rejected" if is_rejected else outcome,
                "rejected_reason": outcome if is_rejected else None,
                "is_burst": shown is not None and shown.is_burst,
                "is_disposable": (shown.user if shown else invite).is_disposable,
                "repeated_invite_id": referrals.repeats[key].invite_key if key in referrals.repeats else None,
                "invite_window_days": policy["invite_window_days"],
                "invite_credit": policy["invite_credit"],
            }
        )
    return rows


def fct_referrals(referrals: Referrals, policy: Policy) -> list[Row]:
    """A row per join that an invite brought, with what it earns the inviter, or would earn."""
    rewards = rewards_of(referrals, policy)
    return [
        {
            "user_id": user_id,
            "joined_at": join.user.joined_at,
            "inviter_id": join.invite.actor_id,
            "inviter_joined_at": join.inviter and join.inviter.joined_at,
            "invite_id": join.invite.invite_key,
            "sent_at": join.invite.sent_at,
            "rejected_reason": join.rejected,
            "is_within_horizon": join.is_within(span(policy, "viral_horizon_days")),
            "is_burst": join.is_burst,
            "is_disposable": join.user.is_disposable,
            "is_net": join.is_net,
            "reward_cents": rewards[user_id],
        }
        for user_id, join in referrals.joins.items()
    ]


def rewards_of(referrals: Referrals, policy: Policy) -> dict[str, int]:
    """Joined user_id -> cents: more from the inviter's join on that is, or would be, the threshold-th net one."""
    before: Counter[str] = Counter()
    rewards = {}
    for join in in_order(referrals.joins.values()):
        factor = Fraction(1)
        if before[join.invite.actor_id] + 1 >= number(policy, "super_connector_threshold"):
            factor = number(policy, "viral_incentive_multiplier")
        rewards[join.user.user_id] = half_away(number(policy, "viral_reward_cents") * factor)
        before[join.invite.actor_id] += join.is_net
    return rewards


@dataclass(frozen=True)
class Lags:
    """share: of the joins within the horizon, by whole hours after the inviter's join; None while not known."""

    joins: list[int]
    share: list[Decimal] | None

    def rows(self) -> list[Row]:
        """A row per hour."""
        hours = enumerate(zip(self.joins, self.share or (), strict=False))
        return [{"lag_hours": hour, "joins": joins, "share": share} for hour, (joins, share) in hours]


def lags_of(referrals: Referrals, as_of: datetime, policy: Policy) -> Lags:
    """M(a) / M(H) at every whole hour a: M sums 1 / (users of at least the lag's age) over the joins seen."""
    horizon = span(policy, "viral_horizon_days")
    fitted_from = as_of - span(policy, "viral_lag_fit_days")
    ages = [as_of - user.joined_at for user in referrals.users.values() if user.joined_at >= fitted_from]
    lags = [
        join.user.joined_at - join.inviter.joined_at
        for join in referrals.joins.values()
        if join.is_within(horizon) and join.inviter.joined_at >= fitted_from
    ]
    hours = horizon // HOUR
    joins, terms = [0] * (hours + 1), [Fraction(0)] * (hours + 1)
    for lag in lags:
        hour = -(-lag // HOUR)
        joins[hour] += 1
        terms[hour] += Fraction(half_away(Fraction(TERM, sum(age >= lag for age in ages))), TERM)
    total = sum(terms)
    if not total or max(ages) < horizon:
        return Lags(joins, None)
    share, so_far = [], Fraction(0)
    for term in terms:
        so_far += term
        share.append(ratio(so_far, total))
    return Lags(joins, share)


def exposures_of(referrals: Referrals, lags: Lags, as_of: datetime, policy: Policy) -> dict[tuple[date, str], Fraction]:
    """(cohort, user_type) -> users weighted by how much of what they will bring shows by now.

    Users of a type who joined in the same hour are taken at their mean age, between whole hours the share is linear,
    and the part of each such hour is rounded to 12 decimals. A cohort of which a part is not known is left out.
    """
    hours = span(policy, "viral_horizon_days") // HOUR
    together: dict[tuple[datetime, str], list[timedelta]] = defaultdict(list)
    for user in referrals.users.values():
        hour = user.joined_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        together[hour, user.user_type].append(as_of - user.joined_at)
    parts: dict[tuple[date, str], list[Fraction | None]] = defaultdict(list)
    for (hour, user_type), ages in together.items():
        count = len(ages)
        age = Fraction(sum(ages, timedelta()) // MICROSECOND, count * (HOUR // MICROSECOND))
        whole = int(age)
        if whole >= hours:
            part: Fraction | None = Fraction(count)
        elif lags.share is None:
            part = None
        else:
            low, high = (Fraction(lags.share[at]) for at in (whole, whole + 1))
            part = Fraction(half_away((count * (low + (high - low) * (age - whole))) * UNIT), UNIT)
        parts[hour.date(), user_type].append(part)
    return {cohort: sum(all_parts) for cohort, all_parts in parts.items() if None not in all_parts}


@dataclass
class Sums:
    """Of some cohorts together. exposure: None where a part of it is not known."""

    users: int = 0
    invites: int = 0
    opened: int = 0
    joins: int = 0
    net_joins: int = 0
    exposure: Fraction | None = Fraction(0)
    is_mature: bool = True

    def add(self, other: "Sums") -> None:
        """Put another one's on these."""
        self.users += other.users
        self.invites += other.invites
        self.opened += other.opened
        self.joins += other.joins
        self.net_joins += other.net_joins
        known = self.exposure is not None and other.exposure is not None
        self.exposure = self.exposure + other.exposure if known else None
        self.is_mature &= other.is_mature

    def coefficients(self) -> Row:
        """i, c and every K."""
        exposure = self.exposure

        def over_exposure(joins: int) -> Decimal | None:
            return None if exposure is None else ratio(joins, exposure)

        return {
            "cohort_users": self.users,
            "invites": self.invites,
            "opened_invites": self.opened,
            "credited_joins": self.joins,
            "net_joins": self.net_joins,
            "invites_per_user": ratio(self.invites, self.users),
            "conversion_per_invite": ratio(self.joins, self.invites),
            "k_observed": ratio(self.joins, self.users),
            "k_gross": over_exposure(self.joins),
            "k_net": over_exposure(self.net_joins),
            "maturity": None if exposure is None else ratio(exposure, self.users),
            "k_adjusted": over_exposure(self.net_joins),
        }


Cohorts = Mapping[tuple[date, str], Sums]


def cohorts_of(referrals: Referrals, lags: Lags, as_of: datetime, policy: Policy) -> Cohorts:
    """(day of joining, user_type) -> sums over its users; H = viral_horizon_days, both ends in.

    invites: counted ones that members sent from their own join to H later; joins: credited to members from their own
    join to H later. is_mature: the day's end is H old.
    """
    horizon = span(policy, "viral_horizon_days")
    exposures = exposures_of(referrals, lags, as_of, policy)
    cohorts: dict[tuple[date, str], Sums] = {}

    def of(user: User) -> Sums:
        cohort = user.joined_on, user.user_type
        if cohort not in cohorts:
            is_mature = cohort[0] <= last_mature_cohort(as_of, policy)
            cohorts[cohort] = Sums(exposure=exposures.get(cohort), is_mature=is_mature)
        return cohorts[cohort]

    for user in referrals.users.values():
        of(user).users += 1
    for invite in referrals.counted():
        actor = referrals.users.get(invite.actor_id)
        if actor is not None and actor.joined_at <= invite.sent_at <= actor.joined_at + horizon:
            of(actor).invites += 1
            of(actor).opened += invite.invite_key in referrals.opened
    for join in referrals.joins.values():
        if join.is_within(horizon):
            of(join.inviter).joins += 1
            of(join.inviter).net_joins += join.is_net
    return cohorts


def last_mature_cohort(as_of: datetime, policy: Policy) -> date:
    """The latest day whose last possible member is viral_horizon_days old: its end + H is not after as_of."""
    return (as_of - span(policy, "viral_horizon_days")).astimezone(UTC).date() - timedelta(days=1)


def pooled_by(cohorts: Cohorts, key: Callable[[date, str], Any]) -> dict[Any, Sums]:
    """Cohorts put together by a key of (day, user_type)."""
    pooled: dict[Any, Sums] = {}
    for (on, user_type), sums in cohorts.items():
        pooled.setdefault(key(on, user_type), Sums()).add(sums)
    return pooled


def viral_coefficient_daily(cohorts: Cohorts) -> list[Row]:
    """A row per day on which at least one user joined."""
    days = pooled_by(cohorts, lambda on, _type: on)
    return [{"cohort_on": on, **sums.coefficients(), "is_mature": sums.is_mature} for on, sums in days.items()]


def viral_coefficient_daily_by_user_type(cohorts: Cohorts) -> list[Row]:
    """The same apart for each type."""
    return [
        {"cohort_on": on, "user_type": user_type, **sums.coefficients(), "is_mature": sums.is_mature}
        for (on, user_type), sums in cohorts.items()
    ]


def viral_coefficient_weekly(cohorts: Cohorts, as_of: datetime) -> list[Row]:
    """By week, from Monday on; one that is not over is not mature."""
    weeks = pooled_by(cohorts, lambda on, _type: on - timedelta(days=on.weekday()))
    rows = []
    for on, sums in weeks.items():
        is_over = datetime.combine(on + timedelta(days=7), datetime.min.time(), UTC) <= as_of
        rows.append({"week_on": on, **sums.coefficients(), "is_mature": sums.is_mature and is_over})
    return rows


def viral_headline(cohorts: Cohorts, as_of: datetime, policy: Policy) -> Row:
    """Pooled over the trailing days whose maturity is at least viral_min_maturity."""
    last_on = (as_of - MICROSECOND).astimezone(UTC).date()
    first_on = last_on - timedelta(days=int(number(policy, "viral_window_days")) - 1)
    pooled, chosen = Sums(), []
    for on, sums in sorted(pooled_by(cohorts, lambda on, _type: on).items()):
        enough = sums.exposure is not None and sums.exposure >= number(policy, "viral_min_maturity") * sums.users
        if first_on <= on <= last_on and enough:
            pooled.add(sums)
            chosen.append(on)
    figures = pooled.coefficients()
    told = pooled.users >= number(policy, "viral_min_users")
    if not chosen:
        figures |= dict.fromkeys(("k_gross", "k_net", "maturity", "k_adjusted"))
    return {
        "as_of": as_of,
        "period_start_on": first_on,
        "period_end_on": chosen[-1] if chosen else last_on,
        "cohorts": len(chosen),
        **{name: figures[name] for name in figures if name not in ("opened_invites", "k_adjusted")},
        "viral_coefficient": figures["k_adjusted"] if told else None,
        "viral_horizon_days": policy["viral_horizon_days"],
        "viral_window_days": policy["viral_window_days"],
        "viral_min_maturity": Decimal(str(policy["viral_min_maturity"])),
        "viral_min_users": policy["viral_min_users"],
        "invite_window_days": policy["invite_window_days"],
        "invite_credit": policy["invite_credit"],
    }


def viral_users_by_hour(referrals: Referrals) -> list[Row]:
    """A row per hour in which somebody joined."""
    past: dict[datetime, list[int]] = defaultdict(list)
    for user in referrals.users.values():
        joined = user.joined_at.astimezone(UTC)
        hour = joined.replace(minute=0, second=0, microsecond=0)
        past[hour].append((joined - hour) // MICROSECOND)
    return [
        {"cohort_on": hour.date(), "joined_hour_at": hour, "users": len(each), "past_hour_us": sum(each)}
        for hour, each in past.items()
    ]


def generations_of(referrals: Referrals) -> dict[str, tuple[str, int]]:
    """user_id -> (root, steps below it)."""
    parents = referrals.parents()
    placed = {}
    for user_id in referrals.users:
        above, steps = user_id, 0
        while above in parents:
            above, steps = parents[above], steps + 1
        placed[user_id] = above, steps
    return placed


def viral_generations(referrals: Referrals) -> list[Row]:
    """A row per generation that has users."""
    users = Counter(generation for _root, generation in generations_of(referrals).values())
    return [
        {
            "generation": generation,
            "users": count,
            "brought": users[generation + 1],
            "realised_k": ratio(users[generation + 1], count),
        }
        for generation, count in sorted(users.items())
    ]


def viral_trees(referrals: Referrals) -> list[Row]:
    """A row per user who joined without an invite of another user."""
    members: dict[str, list[tuple[int, User]]] = defaultdict(list)
    for user_id, (root, generation) in generations_of(referrals).items():
        members[root].append((generation, referrals.users[user_id]))
    rows = []
    for root, users in members.items():
        by_generation = Counter(generation for generation, _user in users)
        rows.append(
            {
                "root_id": root,
                "root_joined_at": referrals.users[root].joined_at,
                "last_joined_at": max(user.joined_at for _generation, user in users),
                "users": len(users),
                "depth": max(by_generation),
                "users_per_generation": [by_generation[generation] for generation in sorted(by_generation)],
            }
        )
    return rows


def revenue_by_person(conversions: Iterable[Any]) -> Counter[str]:
    """Net cents of each person, of what has a rate."""
    revenue: Counter[str] = Counter()
    for conversion in conversions:
        revenue[conversion.person_id] += conversion.revenue_cents or 0
    return revenue


def super_connectors(referrals: Referrals, revenue: Mapping[str, int], policy: Policy) -> list[Row]:
    """A row per user with at least the threshold of credited joins, at any age."""
    threshold, rewards = int(number(policy, "super_connector_threshold")), rewards_of(referrals, policy)
    invites: Counter[str] = Counter(invite.actor_id for invite in referrals.counted())
    by_inviter: dict[str, list[Join]] = defaultdict(list)
    for join in in_order(referrals.joins.values()):
        if join.inviter is not None:
            by_inviter[join.inviter.user_id].append(join)
    children: dict[str, list[str]] = defaultdict(list)
    for user_id, parent in referrals.parents().items():
        children[parent].append(user_id)
    rows = []
    for user_id, joins in by_inviter.items():
        credited = [join for join in joins if join.rejected is None]
        if len(credited) < threshold:
            continue
        below: list[str] = []
        waiting = [user_id]
        while waiting:
            found = children[waiting.pop()]
            below += found
            waiting += found
        rows.append(
            {
                "user_id": user_id,
                "joined_at": referrals.users[user_id].joined_at,
                "connected_at": credited[threshold - 1].user.joined_at,
                "invites": invites[user_id],
                "credited_joins": len(credited),
                "net_joins": sum(join.is_net for join in credited),
                "conversion_per_invite": ratio(len(credited), invites[user_id]),
                "descendants": len(below),
                "descendants_revenue_cents": sum(revenue.get(descendant, 0) for descendant in below),
                "reward_due_cents": sum(rewards[join.user.user_id] for join in joins if join.is_net),
                "reward_withheld_cents": sum(rewards[join.user.user_id] for join in joins if not join.is_net),
            }
        )
    return rows


def viral_incentives(
    referrals: Referrals, feeds: Feeds, as_of: datetime, revenue: Mapping[str, int], policy: Policy
) -> list[Row]:
    """A row per day with a join that an invite brought, or a reward granted."""
    rewards = rewards_of(referrals, policy)
    granted: Counter[date] = Counter()
    for record in visible_events(feeds, "viral_actions", as_of):
        if record["action_type"] == "reward_granted":
            granted[instant(record["occurred_at"]).date()] += record.get("reward_cents") or 0
    joins: dict[date, list[Join]] = defaultdict(list)
    for join in referrals.joins.values():
        joins[join.user.joined_on].append(join)
    rows = []
    for on in {*granted, *joins}:
        net = [join for join in joins[on] if join.is_net]
        due = sum(rewards[join.user.user_id] for join in net)
        earned = sum(revenue.get(join.user.user_id, 0) for join in net)
        margin = half_away(earned * number(policy, "gross_margin_share"))
        rows.append(
            {
                "date": on,
                "credited_joins": sum(join.rejected is None for join in joins[on]),
                "net_joins": len(net),
                "rewards_due_cents": due,
                "rewards_withheld_cents": sum(rewards[join.user.user_id] for join in joins[on] if not join.is_net),
                "rewards_granted_cents": granted[on],
                "revenue_cents": earned,
                "margin_cents": margin,
                "reward_roi_pct": ratio((margin - due) * 100, due),
            }
        )
    return rows
