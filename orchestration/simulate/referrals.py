"""The invite process: who invites whom, who joins, generation by generation, with a known K.

Every user sends Poisson(invites_per_user x activity) invites, each at an Erlang lag after their own
join; each is accepted with one probability, at an Erlang lag after it was sent. Activity has mean 1
over users and is heavy-tailed. So the expected joins within the horizon are World.k, in every generation.
Sends that bring nobody (duplicates, self-invites, rings...) are added in mischief.py.
"""

from dataclasses import dataclass, replace

import numpy as np

from orchestration.simulate.calendar import Span
from orchestration.simulate.columns import NEVER
from orchestration.simulate.journeys import NOBODY, days
from orchestration.simulate.prospects import Prospects
from orchestration.simulate.rows import Rows
from orchestration.simulate.streams import Streams, pick
from orchestration.simulate.world import SUPPLIER, World

REAL, DUPLICATE, RENEWED, TO_A_USER, SELF, CONTESTED, FAKE, RING = range(8)
KINDS = ("real", "duplicate", "renewed", "to_a_user", "self", "contested", "fake_account", "ring")


@dataclass(frozen=True)
class Users(Rows):
    """Parallel arrays, one entry per user, seeds first, then generation by generation, fake ones last.

    person: number of the address; spelling: of it; inviter: user or NOBODY; invite: index of the invite
    that brought them or NOBODY; anyway: would have joined without it; fake: the same person again.
    """

    joined: np.ndarray
    user_type: np.ndarray
    intent: np.ndarray
    person: np.ndarray
    spelling: np.ndarray
    inviter: np.ndarray
    invite: np.ndarray
    generation: np.ndarray
    anyway: np.ndarray
    fake: np.ndarray


@dataclass(frozen=True)
class Invites(Rows):
    """Parallel arrays, one entry per send: inviter (user), person and spelling of the address it went to,
    sent, opened and joined (NEVER where not), the user who joined by it or NOBODY, and its kind."""

    inviter: np.ndarray
    person: np.ndarray
    spelling: np.ndarray
    sent: np.ndarray
    opened: np.ndarray
    joined: np.ndarray
    invitee: np.ndarray
    kind: np.ndarray


def seed_users(prospects: Prospects) -> Users:
    """The prospects who signed up, in the order of their sign-ups."""
    converted = np.flatnonzero(prospects.outcome.time != NEVER)
    person = converted[np.argsort(prospects.outcome.time[converted], kind="stable")]
    count = len(person)
    nobody, no = np.full(count, NOBODY), np.zeros(count, dtype=bool)
    return Users(
        joined=prospects.outcome.time[person],
        user_type=prospects.user_type[person],
        intent=prospects.intent[person],
        person=person,
        spelling=np.zeros(count, dtype=np.int8),
        inviter=nobody,
        invite=nobody,
        generation=np.zeros(count, dtype=np.int16),
        anyway=no,
        fake=no,
    )


def programme_start(world: World, span: Span) -> int:
    """When the first invite can be sent."""
    if world.programme_days is None:
        return span.start
    return max(span.start, span.until - days(world.programme_days))


def spread(world: World, streams: Streams, span: Span, seeds: Users, first_person: int) -> tuple[Users, Invites]:
    """Run the branching process to the end of the span; recipients are numbered from first_person on."""
    users, parts = [seeds], [_no_invites()]
    parents, offset, sent_so_far = seeds, 0, 0
    while len(parents):
        rng = streams(f"invites/{len(parts)}")
        invites = _invites_of(world, rng, span, parents)
        person = first_person + sent_so_far + np.arange(len(invites))
        accepted = np.flatnonzero(invites.joined != NEVER)
        accepted = accepted[np.argsort(invites.joined[accepted], kind="stable")]
        children = _children(world, rng, parents, offset, invites, accepted, person, sent_so_far)
        invitee = np.full(len(invites), NOBODY)
        invitee[accepted] = offset + len(parents) + np.arange(len(accepted))
        parts.append(replace(invites, inviter=invites.inviter + offset, person=person, invitee=invitee))
        users.append(children)
        offset, sent_so_far, parents = (offset + len(parents), sent_so_far + len(invites), children)
    return Users.join(users), Invites.join(parts)


def activity(world: World, rng: np.random.Generator, user_type: np.ndarray) -> np.ndarray:
    """How many times the mean each user invites; mean 1 over the population's mix of types."""
    count = len(user_type)
    rest = (1 - world.connector_share * world.connector_mean) / (1 - world.connector_share)
    ordinary = rng.gamma(world.activity_shape, rest / world.activity_shape, count)
    least = world.connector_mean * (world.connector_alpha - 1) / world.connector_alpha
    connectors = least * (1 + rng.pareto(world.connector_alpha, count))
    drawn = np.where(rng.random(count) < world.connector_share, connectors, ordinary)
    mean = world.supplier_share * world.supplier_invites + 1 - world.supplier_share
    return drawn * np.where(user_type == SUPPLIER, world.supplier_invites, 1.0) / mean


def _invites_of(world: World, rng: np.random.Generator, span: Span, parents: Users) -> Invites:
    """All invites that the parents send within the span; inviter is an index into parents."""
    rate = world.invites_per_user * activity(world, rng, parents.user_type)
    inviter = np.repeat(np.arange(len(parents)), rng.poisson(rate))
    scale = days(world.lag_scale_days)
    count = len(inviter)
    sent = parents.joined[inviter] + (rng.gamma(world.invite_lag_shape, scale, count)).astype(np.int64)
    joined = sent + (rng.gamma(world.join_lag_shape, scale, count)).astype(np.int64) + 1_000
    accepted = rng.random(count) < world.accepted * _spread_factor(world, sent, span.until)
    others_open = (world.opened_invite - world.accepted) / (1 - world.accepted)
    opens = accepted | (rng.random(count) < others_open)
    until_join = joined - sent
    opened = sent + (rng.random(count) * np.minimum(until_join, days(5)) * 0.9).astype(np.int64) + 500

    happens = (sent >= programme_start(world, span)) & (sent <= span.until)
    joined = np.where(accepted & (joined <= span.until), joined, NEVER)
    opened = np.where(opens & (opened <= span.until), opened, NEVER)
    kept = np.flatnonzero(happens)
    return Invites(
        inviter=inviter[kept],
        person=np.full(len(kept), NOBODY),
        spelling=np.zeros(len(kept), dtype=np.int8),
        sent=sent[kept],
        opened=opened[kept],
        joined=joined[kept],
        invitee=np.full(len(kept), NOBODY),
        kind=np.full(len(kept), REAL, dtype=np.int8),
    )


def _spread_factor(world: World, sent: np.ndarray, until: int) -> np.ndarray:
    factor = np.ones(len(sent))
    for change in sorted(world.spread_changes, key=lambda one: -one.days_before_until):
        factor = np.where(sent >= until - days(change.days_before_until), change.factor, factor)
    return factor


def _children(
    world: World,
    rng: np.random.Generator,
    parents: Users,
    offset: int,
    invites: Invites,
    accepted: np.ndarray,
    person: np.ndarray,
    sent_so_far: int,
) -> Users:
    count = len(accepted)
    inviter = invites.inviter[accepted]
    return Users(
        joined=invites.joined[accepted],
        user_type=(rng.random(count) >= world.supplier_share).astype(np.int8),
        intent=pick(rng, np.array(world.intent), count).astype(np.int8),
        person=person[accepted],
        spelling=np.zeros(count, dtype=np.int8),
        inviter=inviter + offset,
        invite=sent_so_far + accepted,
        generation=parents.generation[inviter] + np.int16(1),
        anyway=rng.random(count) < world.would_join_anyway,
        fake=np.zeros(count, dtype=bool),
    )


def _no_invites() -> Invites:
    none = np.zeros(0, dtype=np.int64)
    small = np.zeros(0, dtype=np.int8)
    return Invites(none, none, small, none, none, none, none, small)


def user_of_person(users: Users, people: int) -> np.ndarray:
    """The user (fakes aside) that each of `people` person numbers became, NOBODY for the rest."""
    found = np.full(people, NOBODY)
    real = np.flatnonzero(~users.fake)
    found[users.person[real]] = real
    return found
