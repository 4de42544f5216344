"""Invites, the joins they earned, and the observed viral coefficient per cohort."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tests.oracles.attribution import Row
from tests.oracles.campaigns import AddressKey
from tests.oracles.feeds import Feeds, Fingerprint, field, instant, visible_events, visible_versions
from tests.oracles.policy import Policy, span
from tests.oracles.rounding import ratio


@dataclass(frozen=True)
class User:
    """One user as last described; key: of the e-mail address."""

    user_id: str
    key: str
    joined_at: datetime
    invite_id: str | None


@dataclass(frozen=True)
class Invite:
    """One send; invite_key: its invite_id, else its event_id."""

    invite_key: str
    event_id: str
    actor_id: str
    recipient: str
    sent_at: datetime


@dataclass(frozen=True)
class Referrals:
    """outcomes: invite_key -> the one thing that became of it; inviters: joined user_id -> credited user_id."""

    users: dict[str, User]
    invites: dict[str, Invite]
    outcomes: dict[str, str]
    inviters: dict[str, str]

    def counted(self) -> list[Invite]:
        """The invites that were not rejected at the send (self, already_a_user, duplicate)."""
        rejected = ("self", "already_a_user", "duplicate")
        return [invite for key, invite in self.invites.items() if self.outcomes[key] not in rejected]


def users_of(feeds: Feeds, as_of: datetime, fingerprint: Fingerprint, address_key: AddressKey) -> dict[str, User]:
    """user_id -> the user as known at as_of, of those who had joined by then."""
    users = {}
    for record in visible_versions(feeds, "users", as_of, fingerprint):
        joined_at = instant(record["signed_up_at"])
        if joined_at <= as_of:
            key = address_key(record["email"])
            users[record["user_id"]] = User(record["user_id"], key, joined_at, field(record, "invite_id"))
    return users


def invites_of(feeds: Feeds, as_of: datetime, address_key: AddressKey) -> dict[str, Invite]:
    """invite_key -> invite. Several sends under one key are one invite: the earliest (sent_at, event_id)."""
    sends = [
        Invite(
            invite_key=field(record, "invite_id") or record["event_id"],
            event_id=record["event_id"],
            actor_id=record["actor_id"],
            recipient=address_key(record["recipient_email"]),
            sent_at=instant(record["occurred_at"]),
        )
        for record in visible_events(feeds, "viral_actions", as_of)
        if record["action_type"] == "invite_sent"
    ]
    earliest: dict[str, Invite] = {}
    for send in sorted(sends, key=_by_time):
        earliest.setdefault(send.invite_key, send)
    return earliest


def _by_time(invite: Invite) -> tuple[datetime, str]:
    return invite.sent_at, invite.event_id


def referrals_of(
    feeds: Feeds, as_of: datetime, policy: Policy, fingerprint: Fingerprint, address_key: AddressKey
) -> Referrals:
    """Judge every invite up to as_of. Exactly one outcome each, by the first rule that fits:

    self: sent to the actor's own address. already_a_user: someone with that address joined at or before the
    send. duplicate: within invite_window_days (that end in) of the last counted send of the same actor to
    the same address. credited: at least one join. other_inviter_credited: someone with the address joined in
    the window after it, by another invite. pending: the window is still open at as_of. expired.
    """
    window = span(policy, "invite_window_days")
    users, invites = users_of(feeds, as_of, fingerprint, address_key), invites_of(feeds, as_of, address_key)
    joined_with: dict[str, list[User]] = defaultdict(list)
    for user in users.values():
        joined_with[user.key].append(user)

    outcomes: dict[str, str] = {}
    repeats: dict[str, Invite] = {}
    last_counted: dict[tuple[str, str], Invite] = {}
    for invite in sorted(invites.values(), key=_by_time):
        actor = users.get(invite.actor_id)
        earlier = last_counted.get((invite.actor_id, invite.recipient))
        if actor is not None and actor.key == invite.recipient:
            outcomes[invite.invite_key] = "self"
        elif any(user.joined_at <= invite.sent_at for user in joined_with[invite.recipient]):
            outcomes[invite.invite_key] = "already_a_user"
        elif earlier is not None and invite.sent_at <= earlier.sent_at + window:
            outcomes[invite.invite_key] = "duplicate"
            repeats[invite.invite_key] = earlier
        else:
            last_counted[invite.actor_id, invite.recipient] = invite
    counted_to: dict[str, list[Invite]] = defaultdict(list)
    for key, invite in invites.items():
        if key not in outcomes:
            counted_to[invite.recipient].append(invite)

    credited: set[str] = set()
    inviters: dict[str, str] = {}
    for user in users.values():
        invite = _named_invite(user, invites, outcomes, repeats)
        if invite is None:
            invite = _matching_invite(user, counted_to[user.key], window, policy["invite_credit"])
        if invite is not None:
            credited.add(invite.invite_key)
            inviters[user.user_id] = invite.actor_id

    for invite in [invite for key, invite in invites.items() if key not in outcomes]:
        closes_at = invite.sent_at + window
        if invite.invite_key in credited:
            outcome = "credited"
        elif any(invite.sent_at < user.joined_at <= closes_at for user in joined_with[invite.recipient]):
            outcome = "other_inviter_credited"
        else:
            outcome = "pending" if as_of <= closes_at else "expired"
        outcomes[invite.invite_key] = outcome
    return Referrals(users, invites, outcomes, inviters)


def _named_invite(
    user: User, invites: dict[str, Invite], outcomes: dict[str, str], repeats: dict[str, Invite]
) -> Invite | None:
    """The counted invite that the user's invite_id stands for, whomever it was addressed to and however old.

    A duplicate stands for the counted invite that it repeats. None when the invite is not known, was
    rejected, is the user's own, or was not sent before the join: the address decides then.
    """
    invite = invites.get(user.invite_id) if user.invite_id is not None else None
    if invite is None or outcomes.get(invite.invite_key) in ("self", "already_a_user"):
        return None
    if invite.actor_id == user.user_id or invite.sent_at >= user.joined_at:
        return None
    return repeats.get(invite.invite_key, invite)


def _matching_invite(user: User, counted: Iterable[Invite], window: timedelta, credit: str) -> Invite | None:
    """The last or first of the counted invites to the user's address whose window holds the join."""
    candidates = [invite for invite in counted if invite.sent_at < user.joined_at <= invite.sent_at + window]
    if not candidates:
        return None
    if credit not in ("last", "first"):
        raise ValueError(f"invite_credit {credit!r}: expected last or first")
    return max(candidates, key=_by_time) if credit == "last" else min(candidates, key=_by_time)


def viral_coefficient_daily(referrals: Referrals, as_of: datetime, policy: Policy) -> list[Row]:
    """A row per day on which at least one user joined; H = viral_horizon_days, both ends in.

    invites: counted ones that cohort members sent from their own join to H later. credited_joins: joins
    that the cohort's members are credited with, from their own join to H later. is_mature: all of it is H old.
    """
    horizon = span(policy, "viral_horizon_days")
    users: Counter[date] = Counter(_joined_on(user) for user in referrals.users.values())
    invites: Counter[date] = Counter()
    joins: Counter[date] = Counter()
    for invite in referrals.counted():
        actor = referrals.users.get(invite.actor_id)
        if actor is not None and actor.joined_at <= invite.sent_at <= actor.joined_at + horizon:
            invites[_joined_on(actor)] += 1
    for joined_id, inviter_id in referrals.inviters.items():
        inviter, joined = referrals.users.get(inviter_id), referrals.users[joined_id]
        if inviter is not None and inviter.joined_at <= joined.joined_at <= inviter.joined_at + horizon:
            joins[_joined_on(inviter)] += 1
    return [
        {
            "cohort_on": on,
            "cohort_users": count,
            "invites": invites[on],
            "credited_joins": joins[on],
            "invites_per_user": ratio(invites[on], count),
            "conversion_per_invite": ratio(joins[on], invites[on]),
            "k_observed": ratio(joins[on], count),
            "is_mature": on <= last_mature_cohort(as_of, policy),
        }
        for on, count in users.items()
    ]


def _joined_on(user: User) -> date:
    return user.joined_at.astimezone(UTC).date()


def last_mature_cohort(as_of: datetime, policy: Policy) -> date:
    """The latest day whose last possible member is viral_horizon_days old: its end + H is not after as_of."""
    return (as_of - span(policy, "viral_horizon_days")).astimezone(UTC).date() - timedelta(days=1)


def headline_cohorts(cohorts: Sequence[Row], first_on: date, last_on: date) -> tuple[int, int]:
    """(credited joins, users) of the cohorts from first_on to last_on, both in."""
    chosen = [row for row in cohorts if first_on <= row["cohort_on"] <= last_on]
    return sum(row["credited_joins"] for row in chosen), sum(row["cohort_users"] for row in chosen)
