"""Invites and joins: what becomes of each, who earns them, and which are left out as fraud."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tests.oracles.campaigns import AddressKey
from tests.oracles.feeds import Feeds, Fingerprint, field, instant, visible_events, visible_versions
from tests.oracles.policy import Policy, number, span

DISPOSABLE = ("mailinator.com",)
"""Domains of throw-away mailboxes that worlds use."""


@dataclass(frozen=True)
class User:
    """One user as last described; key: of the e-mail address; mailbox: where mail to it ends up."""

    user_id: str
    key: str
    mailbox: str
    is_disposable: bool
    joined_at: datetime
    user_type: str
    invite_id: str | None

    @property
    def joined_on(self) -> date:
        """The UTC day of the join."""
        return self.joined_at.astimezone(UTC).date()


@dataclass(frozen=True)
class Invite:
    """One send; invite_key: its invite_id, else its event_id."""

    invite_key: str
    event_id: str
    actor_id: str
    recipient: str
    mailbox: str
    is_disposable: bool
    channel: str
    sent_at: datetime


@dataclass(frozen=True)
class Join:
    """A join that an invite brought. rejected: self, ring or None; inviter: None where no user."""

    user: User
    invite: Invite
    inviter: User | None
    rejected: str | None
    is_burst: bool = False

    @property
    def is_net(self) -> bool:
        """Whether it is credited and carries no flag."""
        return self.rejected is None and not self.is_burst and not self.user.is_disposable

    def is_within(self, horizon: timedelta) -> bool:
        """Whether it is credited, within the horizon of the inviter's own join."""
        if self.rejected is not None or self.inviter is None:
            return False
        return self.inviter.joined_at <= self.user.joined_at <= self.inviter.joined_at + horizon


@dataclass(frozen=True)
class Referrals:
    """judged: invite_key -> why a send does not count, or None. repeats: duplicate -> the counted invite. opened:
    invite_key -> first opening. joins: user_id -> the join. outcomes: invite_key -> the one thing that became of it."""

    users: dict[str, User]
    invites: dict[str, Invite]
    judged: dict[str, str | None]
    repeats: dict[str, Invite]
    opened: dict[str, datetime]
    joins: dict[str, Join]
    outcomes: dict[str, str]

    @property
    def inviters(self) -> dict[str, str]:
        """Joined user_id -> credited user_id."""
        return {user_id: join.invite.actor_id for user_id, join in self.joins.items() if join.rejected is None}

    def counted(self) -> list[Invite]:
        """The invites that were not rejected at the send (self, already_a_user, duplicate)."""
        return [invite for key, invite in self.invites.items() if self.judged[key] is None]

    def parents(self) -> dict[str, str]:
        """Joined user_id -> the user above in the forest."""
        return {
            user_id: join.inviter.user_id
            for user_id, join in self.joins.items()
            if join.rejected is None and join.inviter is not None
        }


def mailbox_of(key: str) -> str:
    """Where mail to a trimmed, lower-cased address ends up: gmail ignores dots, and what follows a plus."""
    local, _, domain = key.rpartition("@")
    return f"{local.split('+')[0].replace('.', '')}@{domain}" if domain == "gmail.com" else key


def is_disposable(key: str) -> bool:
    """Whether an address is of a throw-away mailbox, that of a subdomain too."""
    domain = key.rpartition("@")[2]
    return any(domain == name or domain.endswith(f".{name}") for name in DISPOSABLE)


def users_of(feeds: Feeds, as_of: datetime, fingerprint: Fingerprint, address_key: AddressKey) -> dict[str, User]:
    """user_id -> the user as known at as_of, of those who had joined by then."""
    users = {}
    for record in visible_versions(feeds, "users", as_of, fingerprint):
        joined_at = instant(record["signed_up_at"])
        if joined_at <= as_of:
            key = address_key(record["email"])
            users[record["user_id"]] = User(
                record["user_id"],
                key,
                mailbox_of(key),
                is_disposable(key),
                joined_at,
                field(record, "user_type") or "unknown",
                field(record, "invite_id"),
            )
    return users


def invites_of(feeds: Feeds, as_of: datetime, address_key: AddressKey) -> dict[str, Invite]:
    """invite_key -> invite. Several sends under one key are one invite: the earliest (sent_at, event_id)."""
    earliest: dict[str, Invite] = {}
    sends = [_invite(record, address_key) for record in _actions(feeds, as_of, "invite_sent")]
    for send in sorted(sends, key=_by_time):
        earliest.setdefault(send.invite_key, send)
    return earliest


def openings_of(
    feeds: Feeds, as_of: datetime, invites: dict[str, Invite], address_key: AddressKey
) -> dict[str, datetime]:
    """invite_key -> its first opening. One that names no invite is of the last send of its pair until then."""
    first: dict[str, datetime] = {}
    for record in _actions(feeds, as_of, "invite_opened"):
        opened_at, key = instant(record["occurred_at"]), field(record, "invite_id")
        if key is None:
            pair = record["actor_id"], address_key(record["recipient_email"])
            sends = [
                invite
                for invite in invites.values()
                if (invite.actor_id, invite.recipient) == pair and invite.sent_at <= opened_at
            ]
            key = max(sends, key=_by_time).invite_key if sends else None
        if key in invites:
            first[key] = min(opened_at, first.get(key, opened_at))
    return first


def _actions(feeds: Feeds, as_of: datetime, kind: str) -> list:
    return [record for record in visible_events(feeds, "viral_actions", as_of) if record["action_type"] == kind]


def _invite(record: dict, address_key: AddressKey) -> Invite:
    key = address_key(record["recipient_email"])
    channel = str(record.get("channel") or "").strip(" \t\n\r\f\v").lower() or "unknown"
    return Invite(
        invite_key=field(record, "invite_id") or record["event_id"],
        event_id=record["event_id"],
        actor_id=record["actor_id"],
        recipient=key,
        mailbox=mailbox_of(key),
        is_disposable=is_disposable(key),
        channel=channel,
        sent_at=instant(record["occurred_at"]),
    )


def _by_time(invite: Invite) -> tuple[datetime, str]:
    return invite.sent_at, invite.event_id


def referrals_of(
    feeds: Feeds, as_of: datetime, policy: Policy, fingerprint: Fingerprint, address_key: AddressKey
) -> Referrals:
    """Judge every invite up to as_of. Exactly one outcome each, by the first rule that fits:

    self: sent to the actor's own mailbox. already_a_user: someone with that address joined at or before the
    send. duplicate: within invite_window_days (that end in) of the last counted send of the same actor to
    the same address. self, ring: of all its joins, as they are judged, when none is credited. credited: at least one
    join. other_inviter_credited: someone with the address joined in the window after it, by another invite or by none.
    pending: the window is still open at as_of. expired.
    """
    window = span(policy, "invite_window_days")
    users, invites = users_of(feeds, as_of, fingerprint, address_key), invites_of(feeds, as_of, address_key)
    joined_with: dict[str, list[User]] = defaultdict(list)
    for user in users.values():
        joined_with[user.key].append(user)

    judged: dict[str, str | None] = {}
    repeats: dict[str, Invite] = {}
    last_counted: dict[tuple[str, str], Invite] = {}
    for invite in sorted(invites.values(), key=_by_time):
        actor = users.get(invite.actor_id)
        earlier = last_counted.get((invite.actor_id, invite.recipient))
        judged[invite.invite_key] = None
        if actor is not None and actor.mailbox == invite.mailbox:
            judged[invite.invite_key] = "self"
        elif any(user.joined_at <= invite.sent_at for user in joined_with[invite.recipient]):
            judged[invite.invite_key] = "already_a_user"
        elif earlier is not None and invite.sent_at <= earlier.sent_at + window:
            judged[invite.invite_key] = "duplicate"
            repeats[invite.invite_key] = earlier
        else:
            last_counted[invite.actor_id, invite.recipient] = invite
    counted_to: dict[str, list[Invite]] = defaultdict(list)
    for key, invite in invites.items():
        if judged[key] is None:
            counted_to[invite.recipient].append(invite)

    brought: dict[str, Invite] = {}
    for user in users.values():
        invite = _named_invite(user, invites, judged, repeats)
        if invite is None:
            invite = _matching_invite(user, counted_to[user.key], window, policy["invite_credit"])
        if invite is not None:
            brought[user.user_id] = invite
    joins = _flagged(_judged_joins(users, brought), policy)

    outcomes: dict[str, str] = {}
    for key, invite in invites.items():
        of_invite = [join for join in joins.values() if join.invite is invite]
        closes_at = invite.sent_at + window
        if judged[key] is not None:
            outcomes[key] = judged[key]
        elif any(join.rejected is None for join in of_invite):
            outcomes[key] = "credited"
        elif of_invite:
            outcomes[key] = min(join.rejected for join in of_invite)
        elif any(invite.sent_at < user.joined_at <= closes_at for user in joined_with[invite.recipient]):
            outcomes[key] = "other_inviter_credited"
        else:
            outcomes[key] = "pending" if as_of <= closes_at else "expired"
    opened = openings_of(feeds, as_of, invites, address_key)
    return Referrals(users, invites, judged, repeats, opened, joins, outcomes)


def _judged_joins(users: dict[str, User], brought: dict[str, Invite]) -> dict[str, Join]:
    """self: inviter and invitee share a mailbox. ring: of mailboxes, each reaches the other by joins."""
    edges: dict[str, set[str]] = defaultdict(set)
    for user_id, invite in brought.items():
        inviter = users.get(invite.actor_id)
        if inviter is not None and inviter.mailbox != users[user_id].mailbox:
            edges[inviter.mailbox].add(users[user_id].mailbox)
    joins = {}
    for user_id, invite in brought.items():
        user, inviter = users[user_id], users.get(invite.actor_id)
        rejected = None
        if inviter is not None and inviter.mailbox == user.mailbox:
            rejected = "self"
        elif inviter is not None and inviter.mailbox in _reached(edges, user.mailbox):
            rejected = "ring"
        joins[user_id] = Join(user, invite, inviter, rejected)
    return joins


def _reached(edges: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for further in edges.get(waiting.pop(), ()):
            if further not in reached:
                reached.add(further)
                waiting.append(further)
    return reached


def _flagged(joins: dict[str, Join], policy: Policy) -> dict[str, Join]:
    """Mark bursts: a span of viral_burst_hours that holds more than viral_burst_joins credited joins of one inviter."""
    hours = timedelta(hours=int(number(policy, "viral_burst_hours")))
    by_inviter: dict[str, list[Join]] = defaultdict(list)
    for join in joins.values():
        if join.rejected is None:
            by_inviter[join.invite.actor_id].append(join)
    flagged = dict(joins)
    for credited in by_inviter.values():
        for first in credited:
            start = first.user.joined_at
            span_of_it = [join for join in credited if start <= join.user.joined_at <= start + hours]
            if len(span_of_it) > number(policy, "viral_burst_joins"):
                for join in span_of_it:
                    flagged[join.user.user_id] = Join(join.user, join.invite, join.inviter, None, True)
    return flagged


def in_order(joins: Iterable[Join]) -> Iterator[Join]:
    """By time of joining, ties by user_id."""
    return iter(sorted(joins, key=lambda join: (join.user.joined_at, join.user.user_id)))


def _named_invite(
    user: User, invites: dict[str, Invite], judged: dict[str, str | None], repeats: dict[str, Invite]
) -> Invite | None:
    """The counted invite that the user's invite_id stands for, whomever it was addressed to and however old.

    A duplicate stands for the counted invite that it repeats. None when the invite is not known, was
    rejected, is the user's own, or was not sent before the join: the address decides then.
    """
    invite = invites.get(user.invite_id) if user.invite_id is not None else None
    if invite is None or judged[invite.invite_key] in ("self", "already_a_user"):
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
