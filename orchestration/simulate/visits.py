"""Touches as a tracker records them (by login or by device), and the logins that link devices to people."""

from dataclasses import dataclass, replace

import numpy as np

from orchestration.simulate.calendar import Span
from orchestration.simulate.campaigns import Catalogue
from orchestration.simulate.columns import NEVER
from orchestration.simulate.journeys import NOBODY, Touches, channels_for, days, returning_visits
from orchestration.simulate.prospects import Prospects
from orchestration.simulate.referrals import Invites, Users, user_of_person
from orchestration.simulate.rows import Rows
from orchestration.simulate.streams import Streams
from orchestration.simulate.world import REFERRAL, World


@dataclass(frozen=True)
class Visits(Rows):
    """Parallel arrays, one entry per recorded touch.

    user: who it really was, NOBODY for people who never signed up; named: the record holds the user_id;
    device: number, NOBODY when the record holds none; channel, campaign: numbers; time: milliseconds.
    """

    user: np.ndarray
    named: np.ndarray
    device: np.ndarray
    channel: np.ndarray
    campaign: np.ndarray
    time: np.ndarray


@dataclass(frozen=True)
class Claims(Rows):
    """Parallel arrays, one entry per login that links a device to a user."""

    device: np.ndarray
    user: np.ndarray
    time: np.ndarray


@dataclass(frozen=True)
class Devices:
    """Of each user: first device, second device, and when the second was linked (NEVER: not)."""

    first: np.ndarray
    second: np.ndarray
    second_linked: np.ndarray

    @classmethod
    def draw(cls, world: World, streams: Streams, users: Users, people: int) -> "Devices":
        """Devices of persons are numbered as the persons; second ones from `people` on."""
        rng = streams("devices")
        count = len(users)
        shares = np.flatnonzero((rng.random(count) < world.shared_device_share) & ~users.fake)
        earlier = _earlier_user(rng, users.joined, shares)
        first = np.where(users.fake, people + count + np.arange(count), users.person)
        shares, earlier = shares[earlier != NOBODY], earlier[earlier != NOBODY]
        first[shares] = first[earlier]
        has_second = rng.random(count) < world.second_device_share
        second = np.where(has_second, people + np.arange(count), NOBODY)
        linked = users.joined + (rng.exponential(days(10), count)).astype(np.int64) + 60_000
        is_linked = has_second & (rng.random(count) < world.second_device_linked)
        return cls(first, second, np.where(is_linked, linked, NEVER))


def _earlier_user(rng: np.random.Generator, joined: np.ndarray, who: np.ndarray) -> np.ndarray:
    order = np.argsort(joined, kind="stable")
    before = np.searchsorted(joined[order], joined[who])
    found = order[(rng.random(len(who)) * before).astype(np.int64)]
    return np.where(before > 0, found, NOBODY)


def draw_claims(world: World, streams: Streams, span: Span, users: Users, devices: Devices) -> Claims:
    """Logins: on the first device at sign-up (some late), on the second when linked; on shared ones again later."""
    rng = streams("claims")
    count = len(users)
    everyone = np.arange(count)
    late = rng.random(count) < world.late_link_share
    wait = np.where(late, rng.exponential(days(world.late_link_days), count), rng.exponential(20_000, count))
    at_signup = users.joined + wait.astype(np.int64) + 500
    linked = np.flatnonzero(devices.second_linked != NEVER)
    _, device, owners = np.unique(devices.first, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(owners[device] > 1)
    again = shared[rng.random(len(shared)) < 0.5]
    back = users.joined[again] + days(3) + (rng.random(len(again)) * days(25)).astype(np.int64)
    claims = Claims(
        np.concatenate([devices.first, devices.second[linked], devices.first[again]]),
        np.concatenate([everyone, linked, again]),
        np.concatenate([at_signup, devices.second_linked[linked], back]),
    )
    return claims.take(claims.time <= span.until)


def draw_visits(
    world: World,
    streams: Streams,
    span: Span,
    catalogue: Catalogue,
    prospects: Prospects,
    users: Users,
    invites: Invites,
    devices: Devices,
    after_signup: Touches,
    people: int,
) -> Visits:
    """All recorded touches: of prospects, of invited people, and of users (after_signup, owner: user).

    people: count of person numbers.
    """
    invited = _invited_visits(world, streams("visits/invited"), span, users, invites)
    anonymous = Touches.join([prospects.touches, invited])
    visitor = user_of_person(users, people)[anonymous.owner]
    device = np.where(visitor == NOBODY, anonymous.owner, devices.first[visitor])
    device = _on_second(world, streams("visits/second"), visitor, device, devices)

    rng = streams("visits/login")
    count = len(after_signup)
    named = rng.random(count) >= world.touches_logged_out
    seen_on = _on_second(world, rng, after_signup.owner, devices.first[after_signup.owner], devices)
    shows_device = ~named | (rng.random(count) < 0.5)

    touches = Touches.join([anonymous, after_signup])
    rng = streams("visits/campaigns")
    paid = catalogue.paid(world, rng, touches.channel, touches.time)
    return Visits(
        np.concatenate([visitor, after_signup.owner]),
        np.concatenate([np.zeros(len(anonymous), dtype=bool), named]),
        np.concatenate([device, np.where(shows_device, seen_on, NOBODY)]),
        touches.channel,
        np.where(touches.campaign == NOBODY, paid, touches.campaign),
        touches.time,
    )


def _on_second(
    world: World, rng: np.random.Generator, user: np.ndarray, device: np.ndarray, devices: Devices
) -> np.ndarray:
    """Move a share of touches of those who have a second device there."""
    moves = (rng.random(len(user)) < world.second_device_touches) & (user != NOBODY)
    moves &= devices.second[user] != NOBODY
    return np.where(moves, devices.second[user], device)


def _invited_visits(world: World, rng: np.random.Generator, span: Span, users: Users, invites: Invites) -> Touches:
    """Visits of invited people before they join, owner: person. The referral alone decided; the rest follows it."""
    joins = np.flatnonzero((invites.joined != NEVER) & ~users.fake[invites.invitee])
    browses = np.flatnonzero((invites.opened != NEVER) & (invites.joined == NEVER))
    browses = browses[rng.random(len(browses)) < 0.5]
    opened = np.concatenate([joins, browses])
    clicks = Touches.inert(
        invites.person[opened], invites.opened[opened] + 400, np.full(len(opened), world.code(REFERRAL))
    )
    counts = rng.poisson(world.invitee_touches, len(joins))
    place = np.repeat(np.arange(len(joins)), counts)
    since, until = invites.opened[joins][place], invites.joined[joins][place]
    time = since + (rng.random(len(place)) * (until - since)).astype(np.int64)
    intent = users.intent[invites.invitee[joins]][place]
    channel = channels_for(world, rng.random(len(place)), intent, after_signup=False)
    around = Touches.inert(invites.person[joins][place], time, channel)
    returns = returning_visits(world, rng, invites.joined[joins], invites.opened[joins])
    returns = replace(returns, owner=invites.person[joins][returns.owner])
    found = Touches.join([clicks, around, returns])
    return found.take(found.time <= span.until)
