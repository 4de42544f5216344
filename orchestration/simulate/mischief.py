"""Sends that bring nobody new: duplicates, renewals, invites to users and to oneself, contested joins,
fake accounts and rings. None changes who really brought whom; a measure that falls for them shows it."""

from dataclasses import replace

import numpy as np

from orchestration.simulate.addresses import DISPOSABLE, folds
from orchestration.simulate.calendar import Span
from orchestration.simulate.columns import NEVER
from orchestration.simulate.journeys import NOBODY, days
from orchestration.simulate.referrals import (
    CONTESTED,
    DUPLICATE,
    FAKE,
    REAL,
    RENEWED,
    RING,
    SELF,
    TO_A_USER,
    Invites,
    Users,
    programme_start,
)
from orchestration.simulate.streams import Streams
from orchestration.simulate.world import World

Sends = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Parallel arrays: inviter, person, spelling, sent; an inviter of NOBODY or a time of NEVER: no send."""


def add_mischief(world: World, streams: Streams, span: Span, users: Users, invites: Invites) -> tuple[Users, Invites]:
    """The same users and invites, and after them what mischief adds."""
    real, people = len(invites), len(users)
    if not real:
        return users, invites
    base = invites
    for kind, share, draw in (
        (DUPLICATE, world.duplicate_invites, _duplicates),
        (RENEWED, world.renewed_invites, _renewals),
        (TO_A_USER, world.invites_to_users, _to_users),
        (SELF, world.self_invites, _to_oneself),
        (CONTESTED, world.contested_joins, _contested),
    ):
        rng = streams(f"mischief/{kind}")
        chosen = np.flatnonzero(rng.random(real) < share)
        inviter, person, spelling, sent = draw(rng, users, base, chosen)
        valid = (sent <= span.until) & (sent >= programme_start(world, span)) & (inviter != NOBODY)
        valid &= sent >= users.joined[inviter]
        sends = _sends(inviter[valid], person[valid], spelling[valid], sent[valid], kind)
        invites = Invites.join([invites, sends])
    for kind, share, draw in ((FAKE, world.fake_accounts, _fakes), (RING, world.rings, _rings)):
        rng = streams(f"mischief/{kind}")
        chosen = np.flatnonzero(rng.random(people) < share)
        opens = programme_start(world, span)
        users, invites = _second_accounts(rng, opens, span.until, users, invites, draw(users, chosen), kind)
    return _disposable(streams("mischief/disposable"), world.disposable_fakes, users, invites)


def _sends(inviter: np.ndarray, person: np.ndarray, spelling: np.ndarray, sent: np.ndarray, kind: int) -> Invites:
    """Invites of a kind that nobody opens and nobody joins by."""
    count = len(inviter)
    never = np.full(count, NEVER)
    return Invites(
        inviter=inviter,
        person=person,
        spelling=spelling.astype(np.int8),
        sent=sent,
        opened=never,
        joined=never,
        invitee=np.full(count, NOBODY),
        kind=np.full(count, kind, dtype=np.int8),
    )


def _duplicates(rng: np.random.Generator, users: Users, invites: Invites, chosen: np.ndarray) -> Sends:
    """Another send to the same address within 20 days, while the person has not joined."""
    sent = invites.sent[chosen] + 60_000 + (rng.random(len(chosen)) * days(20)).astype(np.int64)
    sent = np.where(sent < invites.joined[chosen], sent, NEVER)
    return invites.inviter[chosen], invites.person[chosen], invites.spelling[chosen], sent


def _renewals(rng: np.random.Generator, users: Users, invites: Invites, chosen: np.ndarray) -> Sends:
    """Another send more than a window later to someone who never joined: a new invite, in vain."""
    chosen = chosen[invites.joined[chosen] == NEVER]
    sent = invites.sent[chosen] + days(31) + (rng.random(len(chosen)) * days(30)).astype(np.int64)
    return invites.inviter[chosen], invites.person[chosen], invites.spelling[chosen], sent


def _to_users(rng: np.random.Generator, users: Users, invites: Invites, chosen: np.ndarray) -> Sends:
    """Sends to someone who had joined before."""
    inviter, sent = invites.inviter[chosen], invites.sent[chosen] + 120_000
    known = _someone_joined_before(rng, users, sent)
    inviter = np.where((known == inviter) | (known == NOBODY), NOBODY, inviter)
    return inviter, users.person[known], users.spelling[known], sent


def _to_oneself(rng: np.random.Generator, users: Users, invites: Invites, chosen: np.ndarray) -> Sends:
    """Sends to one's own mailbox, half of them in another spelling where the mailbox has one."""
    inviter = invites.inviter[chosen]
    person = users.person[inviter]
    spelling = users.spelling[inviter] + np.where(rng.random(len(chosen)) < 0.5, 2, 0)
    return inviter, person, np.where(folds(person), spelling, users.spelling[inviter]), invites.sent[chosen] + 300_000


def _contested(rng: np.random.Generator, users: Users, invites: Invites, chosen: np.ndarray) -> Sends:
    """Somebody else invited the same person up to 5 days before the one who brought them."""
    chosen = chosen[(invites.joined[chosen] != NEVER) & (invites.kind[chosen] == REAL)]
    sent = invites.sent[chosen] - 60_000 - (rng.random(len(chosen)) * days(5)).astype(np.int64)
    rival = _someone_joined_before(rng, users, sent)
    rival = np.where(rival == invites.inviter[chosen], NOBODY, rival)
    return rival, invites.person[chosen], invites.spelling[chosen], sent


def _someone_joined_before(rng: np.random.Generator, users: Users, moment: np.ndarray) -> np.ndarray:
    order = np.argsort(users.joined, kind="stable")
    candidates = np.searchsorted(users.joined[order], moment)
    found = order[(rng.random(len(moment)) * candidates).astype(np.int64)]
    return np.where(candidates > 0, found, NOBODY)


def _fakes(users: Users, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(who invites, whose mailbox joins): oneself, in another spelling."""
    owner = chosen[folds(users.person[chosen]) & ~users.fake[chosen]]
    return owner, owner


def _rings(users: Users, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(who invites, whose mailbox joins): the friend whom one brought invites one's other mailbox back."""
    friend = chosen[(users.inviter[chosen] != NOBODY) & ~users.fake[chosen]]
    friend = friend[folds(users.person[users.inviter[friend]])]
    return friend, users.inviter[friend]


def _second_accounts(
    rng: np.random.Generator,
    opens: int,
    until: int,
    users: Users,
    invites: Invites,
    pairs: tuple[np.ndarray, np.ndarray],
    kind: int,
) -> tuple[Users, Invites]:
    """Let the mailbox owners of pairs join again by an invite in another spelling of their address."""
    inviter, owner = pairs
    sent = users.joined[inviter] + days(0.5) + (rng.random(len(inviter)) * days(6)).astype(np.int64)
    joined = sent + 600_000 + (rng.random(len(inviter)) * days(2)).astype(np.int64)
    happens = (sent >= opens) & (joined <= until)
    inviter, owner, sent, joined = (inviter[happens], owner[happens], sent[happens], joined[happens])
    count, first = len(inviter), len(users)
    spelling = np.full(count, 3 if kind == FAKE else 5, dtype=np.int8)
    sends = _sends(inviter, users.person[owner], spelling, sent, kind)
    sends = replace(sends, opened=sent + 60_000, joined=joined, invitee=first + np.arange(count))
    fakes = Users(
        joined=joined,
        user_type=users.user_type[owner],
        intent=users.intent[owner],
        person=users.person[owner],
        spelling=spelling,
        inviter=inviter,
        invite=len(invites) + np.arange(count),
        generation=users.generation[inviter] + np.int16(1),
        anyway=np.zeros(count, dtype=bool),
        fake=np.ones(count, dtype=bool),
    )
    return Users.join([users, fakes]), Invites.join([invites, sends])


def _disposable(rng: np.random.Generator, share: float, users: Users, invites: Invites) -> tuple[Users, Invites]:
    """Give a share of fake accounts a disposable address in place of another spelling of the owner's."""
    sends = np.flatnonzero(invites.kind == FAKE)
    sends = sends[rng.random(len(sends)) < share]
    of_users, of_invites = users.spelling.copy(), invites.spelling.copy()
    of_users[invites.invitee[sends]] = DISPOSABLE
    of_invites[sends] = DISPOSABLE
    return replace(users, spelling=of_users), replace(invites, spelling=of_invites)
