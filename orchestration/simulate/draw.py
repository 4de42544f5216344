"""One draw of a world: every room's part, in the order in which they depend on each other."""

from dataclasses import dataclass, replace

import numpy as np

from orchestration.simulate.calendar import Span
from orchestration.simulate.campaigns import LEAD, Catalogue, Mails, Readers, send, with_leavers
from orchestration.simulate.columns import NEVER
from orchestration.simulate.integrations import IntegrationEvents, draw_integration_events
from orchestration.simulate.journeys import days
from orchestration.simulate.lifecycle import TRIAL, Conversions, Life, live
from orchestration.simulate.mischief import add_mischief
from orchestration.simulate.prospects import Prospects, draw_prospects
from orchestration.simulate.referrals import Invites, Users, seed_users, spread
from orchestration.simulate.revenue import Rates, Refunds, draw_rates, draw_refunds, revenue_cents, user_currencies
from orchestration.simulate.rows import Rows
from orchestration.simulate.spend import Spend, draw_spend
from orchestration.simulate.streams import Streams
from orchestration.simulate.survey import Answers, draw_answers
from orchestration.simulate.visits import Claims, Devices, Visits, draw_claims, draw_visits
from orchestration.simulate.world import World


@dataclass(frozen=True)
class Rewards(Rows):
    """Parallel arrays: the invite rewarded, cents, when."""

    invite: np.ndarray
    cents: np.ndarray
    time: np.ndarray


@dataclass(frozen=True)
class Draw:
    """Everything that happened in a world, before it is written down; people: count of person numbers."""

    world: World
    streams: Streams
    span: Span
    people: int
    catalogue: Catalogue
    prospects: Prospects
    users: Users
    invites: Invites
    rewards: Rewards
    devices: Devices
    claims: Claims
    life: Life
    lead_mails: Mails
    visits: Visits
    currency: np.ndarray
    revenue_cents: np.ndarray
    refunds: Refunds
    rates: Rates
    spend: Spend
    answers: Answers
    integration_events: IntegrationEvents

    @property
    def conversions(self) -> Conversions:
        return self.life.conversions


def draw_world(world: World, streams: Streams, span: Span, people: int) -> Draw:
    """Draw a world in which `people` seeds sign up within the span."""
    catalogue = Catalogue.of(world, span)
    prospects = draw_prospects(world, streams, span, people)
    users, invites = spread(world, streams, span, seed_users(prospects), len(prospects))
    users, invites = add_mischief(world, streams, span, users, invites)
    numbers = len(prospects) + len(invites)
    life = live(world, streams, span, catalogue, prospects, users)
    conversions = life.conversions
    lead_mails = _lead_mails(world, streams, span, catalogue, prospects)
    devices = Devices.draw(world, streams, users, numbers)
    visits = draw_visits(world, streams, span, catalogue, prospects, users, invites, devices, life.touches, numbers)
    currency = user_currencies(world, streams("currencies"), len(users))[conversions.user]
    cents = revenue_cents(world, streams("discounts"), conversions.plan, currency)
    rewards = _rewards(world, streams, span, users, invites)
    mails = with_leavers(life.mails, life.readers, span.until)
    return Draw(
        world=world,
        streams=streams,
        span=span,
        people=numbers,
        catalogue=catalogue,
        prospects=prospects,
        users=users,
        invites=invites,
        rewards=rewards,
        devices=devices,
        claims=draw_claims(world, streams, span, users, devices),
        life=replace(life, mails=mails),
        lead_mails=lead_mails,
        visits=visits,
        currency=currency,
        revenue_cents=cents,
        refunds=draw_refunds(world, streams("refunds"), conversions.time, cents, span.until),
        rates=draw_rates(world, streams, span),
        spend=draw_spend(world, streams, span, visits, mails, rewards.time, rewards.cents),
        answers=draw_answers(world, streams, span, conversions, visits),
        integration_events=draw_integration_events(
            world, streams, span, invites.sent, conversions.time[conversions.kind == TRIAL]
        ),
    )


def _lead_mails(world: World, streams: Streams, span: Span, catalogue: Catalogue, prospects: Prospects) -> Mails:
    """Mails to prospects who left their address; the clicks were drawn with their journeys."""
    rng = streams("mail/lead")
    reader = np.flatnonzero(prospects.lead_send <= span.until)
    sent = prospects.lead_send[reader]
    clicked = prospects.lead_click[reader]
    readers = Readers(np.full(len(prospects), NEVER), rng.random(len(prospects)) < world.dead_address_share)
    return send(world, rng, readers, reader, catalogue.mail(LEAD, sent), sent, span.until, clicked=clicked)


def _rewards(world: World, streams: Streams, span: Span, users: Users, invites: Invites) -> Rewards:
    """The platform rewards every join that an invite brought, fakes too: it does not see through them."""
    rng = streams("rewards")
    brought = np.flatnonzero(invites.joined != NEVER)
    brought = brought[np.lexsort((invites.joined[brought], invites.inviter[brought]))]
    inviter = invites.inviter[brought]
    starts = np.searchsorted(inviter, inviter)
    rank = np.arange(len(brought)) - starts + 1
    factor = np.where(rank >= world.reward_threshold, world.reward_multiplier, 1.0)
    cents = np.round(world.reward_cents * factor).astype(np.int64)
    time = invites.joined[brought] + 3_600_000 + (rng.random(len(brought)) * days(2)).astype(np.int64)
    return Rewards(brought, cents, time).take(time <= span.until)
