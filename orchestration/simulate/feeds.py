"""A draw as the twelve feeds of the contract: records with keys, in columns, not yet spoiled or written."""

from dataclasses import dataclass, replace

import numpy as np

from orchestration.simulate.addresses import Addresses
from orchestration.simulate.campaigns import MAIL_KINDS, NEWSLETTER, Mails
from orchestration.simulate.columns import NEVER, Column, Days, Decimals, Ids, Integers, Texts, Times, Words
from orchestration.simulate.draw import Draw
from orchestration.simulate.integrations import EVENT_TYPES, INTEGRATIONS, STATUSES
from orchestration.simulate.journeys import NOBODY, days
from orchestration.simulate.lifecycle import CONVERSION_TYPES
from orchestration.simulate.streams import choose, pick
from orchestration.simulate.survey import METHODS
from orchestration.simulate.world import USER_TYPES

MAIL_EVENTS = ("sent", "delivered", "bounced", "opened", "clicked", "unsubscribed", "complained")
VIRAL_ACTIONS = ("invite_sent", "invite_opened", "invite_accepted", "reward_granted")
# By which invites go, and how often: the contract has no such field, so it travels as a property. They work alike.
INVITE_CHANNELS, INVITE_CHANNEL_SHARES = ("link", "email", "messenger"), np.array([0.5, 0.35, 0.15])
# What the sending system tries in newsletters, each person getting the same in all of them. They work alike, too.
VARIANTS = ("control", "shorter-subject")
APP_VERSIONS = ("4.11.0", "4.12.2", None)
TEAMS = ("growth", "lifecycle", "brand", None)


@dataclass(frozen=True)
class Feed:
    """Records of one feed. arrives: when each reaches the landing folder; clock: the field that a wrong
    clock would spoil (events), None for versioned feeds; required: fields without which it is malformed;
    choices: the field, if any, that takes only listed words."""

    name: str
    columns: dict[str, Column]
    arrives: np.ndarray
    clock: str | None
    required: tuple[str, ...]
    choices: str | None = None

    def __len__(self) -> int:
        return len(self.arrives)

    def take(self, index: np.ndarray) -> "Feed":
        columns = {name: column.take(index) for name, column in self.columns.items()}
        return replace(self, columns=columns, arrives=self.arrives[index])


def feeds_of(draw: Draw):
    """Yield the feeds one by one, so that only one is in memory at a time."""
    for build in (
        campaigns, users, identities, touchpoints, conversions, refunds, exchange_rates, ad_spend,
        campaign_events, viral_actions, integration_events, attribution_truth,
    ):  # fmt: skip
        yield build(draw)


def campaigns(draw: Draw) -> Feed:
    """Three versions of each campaign: draft, active, completed (or paused)."""
    rng = draw.streams("feed/campaigns")
    catalogue = draw.catalogue
    count = len(catalogue.ids)
    month = catalogue.first_month + catalogue.month
    starts, ends = (
        (month + after).astype("datetime64[M]").astype("datetime64[ms]").astype(np.int64) for after in (0, 1)
    )
    created = starts - days(10) + (rng.random(count) * days(1)).astype(np.int64)
    team = rng.integers(len(TEAMS), size=count)
    budget = rng.integers(5, 60, count) * 50_000
    budgeted = np.array([one.cost_cents > 0 for one in draw.world.channels])[catalogue.channel]
    final = np.where(rng.random(count) < 0.1, 3, 4)
    number = np.tile(np.arange(count), 3)
    status = np.concatenate([np.zeros(count), np.full(count, 2), final]).astype(np.int64)
    updated = np.concatenate([created, starts, ends])
    kept = updated <= draw.span.until
    number, status, updated = number[kept], status[kept], updated[kept]
    ids = np.array(catalogue.ids, dtype=object)
    return Feed(
        "campaigns",
        {
            "campaign_id": Texts(ids[number]),
            "name": Texts(np.array([one.replace("-", " ").title() for one in catalogue.ids], dtype=object)[number]),
            "channel": Words(draw.world.channel_names, catalogue.channel[number]),
            "status": Words(("draft", "scheduled", "active", "paused", "completed"), status),
            "owner_team": Words(TEAMS, team[number]),
            "budget_cents": Integers(budget[number], ~budgeted[number]),
            "currency": Words(("USD", None), np.where(budgeted[number], 0, 1)),
            "starts_at": Times(starts[number]),
            "ends_at": Times(ends[number]),
            "created_at": Times(created[number]),
            "updated_at": Times(updated),
        },
        updated,
        None,
        ("campaign_id", "name", "created_at", "updated_at"),
        "status",
    )


def users(draw: Draw) -> Feed:
    """Every user, and again where the type became known later or the address changed."""
    rng = draw.streams("feed/users")
    people, seed = draw.users, draw.streams.seed
    count = len(people)
    invite = np.where(names_invite(draw), people.invite, NOBODY)
    typed_late = rng.random(count) < 0.12
    typed_at = people.joined + days(1) + (rng.random(count) * days(3)).astype(np.int64)
    # Only those whose join is known by more than the address change it: who brought them stays known.
    moves = (rng.random(count) < 0.005) & ((people.inviter == NOBODY) | (invite != NOBODY)) & ~people.fake
    moved_at = people.joined + days(5) + rng.exponential(days(40), count).astype(np.int64)
    typed, moved = np.flatnonzero(typed_late), np.flatnonzero(moves & ~typed_late)
    number = np.concatenate([np.arange(count), typed, moved])
    updated = np.concatenate([people.joined, typed_at[typed], moved_at[moved]])
    unstamped = np.concatenate([rng.random(count) < 0.2, np.zeros(len(typed) + len(moved), dtype=bool)])
    untyped = np.concatenate([typed_late, np.zeros(len(typed) + len(moved), dtype=bool)])
    elsewhere = np.concatenate([np.zeros(count + len(typed), dtype=bool), np.ones(len(moved), dtype=bool)])
    person = np.where(elsewhere, draw.people + number, people.person[number])
    feed = Feed(
        "users",
        {
            "user_id": Ids(f"u-{seed}-", number),
            "email": Addresses.of(person, people.spelling[number]),
            "signed_up_at": Times(people.joined[number]),
            "user_type": Words((*USER_TYPES, None), np.where(untyped, 2, people.user_type[number])),
            "invite_id": Ids(f"i-{seed}-", invite[number]),
            "updated_at": Times(np.where(unstamped, NEVER, updated)),
        },
        updated,
        None,
        ("user_id", "email", "signed_up_at"),
        "user_type",
    )
    return feed.take(np.flatnonzero(updated <= draw.span.until))


def has_invite_id(draw: Draw) -> np.ndarray:
    """Whether the sender of each invite gave it an id; those of second accounts always have one."""
    drawn = draw.streams("feed/invite_ids").random(len(draw.invites)) < draw.world.invite_has_id
    second = (draw.invites.invitee != NOBODY) & draw.users.fake[draw.invites.invitee]
    return drawn | second


def names_invite(draw: Draw) -> np.ndarray:
    """Whether each user's record names the invite that brought them."""
    drawn = draw.streams("feed/named_invites").random(len(draw.users)) < draw.world.join_names_invite
    invited = draw.users.invite != NOBODY
    if not len(draw.invites):
        return invited
    return invited & has_invite_id(draw)[draw.users.invite] & (drawn | draw.users.fake)


def identities(draw: Draw) -> Feed:
    """Logins on devices."""
    seed, claims = draw.streams.seed, draw.claims
    return Feed(
        "identities",
        {
            "event_id": Ids(f"id-{seed}-", np.arange(len(claims.user))),
            "anonymous_id": Ids(f"d-{seed}-", claims.device),
            "user_id": Ids(f"u-{seed}-", claims.user),
            "occurred_at": Times(claims.time),
        },
        claims.time,
        "occurred_at",
        ("event_id", "anonymous_id", "user_id", "occurred_at"),
    )


def touchpoints(draw: Draw) -> Feed:
    """Visits, clicks and impressions, with what the tracker keeps of the link."""
    rng = draw.streams("feed/touchpoints")
    seed, visits, world = draw.streams.seed, draw.visits, draw.world
    count = len(visits)
    campaign_ids = np.array([*draw.catalogue.ids, None], dtype=object)
    interaction = np.array([("impression", "click", "visit").index(one.interaction) for one in world.channels])
    kind = np.where((interaction[visits.channel] == 2) & (rng.random(count) < 0.5), 3, interaction[visits.channel])
    mail_number = len(draw.catalogue.ids)
    tagged = np.where(visits.campaign == NOBODY, mail_number, visits.campaign)
    utm = campaign_ids[tagged]
    # Someone's mailing tool put the reader's address into the link.
    leaks = np.flatnonzero((rng.random(count) < world.dirt.address_in_utm) & (visits.campaign != NOBODY))
    utm[leaks] = Addresses.of(leaks % max(draw.people, 1)).values()
    sources = [one.source or None for one in world.channels]
    mediums = [one.medium or None for one in world.channels]
    return Feed(
        "touchpoints",
        {
            "event_id": Ids(f"t-{seed}-", np.arange(count)),
            "user_id": Ids(f"u-{seed}-", np.where(visits.named, visits.user, NOBODY)),
            "anonymous_id": Ids(f"d-{seed}-", visits.device),
            "occurred_at": Times(visits.time),
            "channel": Words(world.channel_names, visits.channel),
            "campaign_id": Words([*draw.catalogue.ids, None], tagged),
            "interaction": Words(("impression", "click", "visit", None), kind),
            "utm_source": Words(sources, visits.channel),
            "utm_medium": Words(mediums, visits.channel),
            "utm_campaign": Texts(utm),
            # A field beyond the contract: the mobile app says which version it is.
            "app_version": Words(APP_VERSIONS, choose(np.array((0.01, 0.02, 0.97)), rng.random(count))),
        },
        visits.time,
        "occurred_at",
        ("event_id", "occurred_at"),
        "interaction",
    )


def conversions(draw: Draw) -> Feed:
    """Sign-ups, trials, subscriptions and renewals; dollars often go unsaid."""
    rng = draw.streams("feed/conversions")
    seed, found = draw.streams.seed, draw.conversions
    codes = [one.code for one in draw.world.user_currencies]
    unsaid = (np.array(codes)[draw.currency] == "USD") & (rng.random(len(found)) < 0.3)
    return Feed(
        "conversions",
        {
            "conversion_id": Ids(f"c-{seed}-", np.arange(len(found))),
            "user_id": Ids(f"u-{seed}-", found.user),
            "occurred_at": Times(found.time),
            "conversion_type": Words(CONVERSION_TYPES, found.kind),
            "revenue_cents": Integers(draw.revenue_cents),
            "currency": Words((*codes, None), np.where(unsaid, len(codes), draw.currency)),
        },
        found.time,
        "occurred_at",
        ("conversion_id", "user_id", "occurred_at", "revenue_cents"),
        "conversion_type",
    )


def refunds(draw: Draw) -> Feed:
    """Money given back."""
    seed, found = draw.streams.seed, draw.refunds
    return Feed(
        "refunds",
        {
            "refund_id": Ids(f"r-{seed}-", np.arange(len(found.time))),
            "conversion_id": Ids(f"c-{seed}-", found.conversion),
            "occurred_at": Times(found.time),
            "refund_cents": Integers(found.cents),
        },
        found.time,
        "occurred_at",
        ("refund_id", "conversion_id", "occurred_at", "refund_cents"),
    )


def exchange_rates(draw: Draw) -> Feed:
    """Dollars for one unit of each other currency, and corrections."""
    found = draw.rates
    return Feed(
        "exchange_rates",
        {
            "rate_on": Days(found.day),
            "currency": Words([one.code for one in draw.world.user_currencies], found.currency.astype(np.int64)),
            "rate": Decimals(found.rate, 6),
            "updated_at": Times(found.updated_at.astype(np.int64)),
        },
        found.updated_at.astype(np.int64),
        None,
        ("rate_on", "currency", "rate"),
    )


def ad_spend(draw: Draw) -> Feed:
    """Costs by day, channel and campaign, and their restatements."""
    found = draw.spend
    return Feed(
        "ad_spend",
        {
            "spend_on": Days(found.day),
            "channel": Words(draw.world.channel_names, found.channel),
            "campaign_id": Words([*draw.catalogue.ids, None], found.campaign),
            "cost_cents": Integers(found.cents),
            "impressions": Integers(found.impressions),
            "clicks": Integers(found.clicks.astype(np.int64)),
            "currency": Words([one.code for one in draw.world.user_currencies], found.currency),
            "updated_at": Times(found.updated_at),
        },
        found.arrives_at,
        None,
        ("spend_on", "cost_cents"),
    )


def campaign_events(draw: Draw) -> Feed:
    """What became of each mail, to users and to leads."""
    rng = draw.streams("feed/campaign_events")
    mails, leads = draw.life.mails, draw.lead_mails
    person = np.concatenate([draw.users.person[mails.reader], leads.reader])
    spelling = np.concatenate([draw.users.spelling[mails.reader], np.zeros(len(leads), dtype=np.int8)])
    mails = Mails.join([mails, leads])
    complains = rng.random(len(mails)) < draw.world.complaint_share
    again = np.where((mails.opened != NEVER) & (rng.random(len(mails)) < 0.2), mails.opened + 7_200_000, NEVER)
    again = np.where(again <= draw.span.until, again, NEVER)
    moments = np.stack(
        [
            mails.sent, mails.delivered, mails.bounced, mails.opened, mails.clicked,
            np.where(complains, NEVER, mails.left), np.where(complains, mails.left, NEVER), again,
        ]
    )  # fmt: skip
    kind, mail = np.nonzero(moments != NEVER)
    time = moments[kind, mail]
    return Feed(
        "campaign_events",
        {
            "event_id": Ids(f"m-{draw.streams.seed}-", mail * 8 + kind),
            "event_type": Words((*MAIL_EVENTS, "opened"), kind),
            "campaign_id": Words(draw.catalogue.ids, mails.campaign[mail]),
            "recipient_email": Addresses(person[mail], spelling[mail], rng.random(len(mail)) < 0.01),
            "occurred_at": Times(time),
            "variant_id": Words((None, *VARIANTS), _variants(draw, person, mails)[mail]),
        },
        time,
        "occurred_at",
        ("event_id", "campaign_id", "recipient_email", "occurred_at"),
        "event_type",
    )


def _variants(draw: Draw, person: np.ndarray, mails: Mails) -> np.ndarray:
    """Of each mail, which variant it was: 0 for none, else its place in VARIANTS, counted from 1."""
    shown = draw.streams("feed/variants").integers(1, 1 + len(VARIANTS), draw.people)
    is_tried = np.array([one.startswith(MAIL_KINDS[NEWSLETTER]) for one in draw.catalogue.ids])
    return np.where(is_tried[mails.campaign], shown[person], 0)


def viral_actions(draw: Draw) -> Feed:
    """Invites sent, opened and accepted, and rewards."""
    rng = draw.streams("feed/viral_actions")
    seed, invites, rewards = draw.streams.seed, draw.invites, draw.rewards
    # The acceptance of a few joins is never reported.
    accepted = np.where(rng.random(len(invites)) < 0.97, invites.joined, NEVER)
    rewarded = np.full(len(invites), NEVER)
    rewarded[rewards.invite] = rewards.time
    cents = np.zeros(len(invites), dtype=np.int64)
    cents[rewards.invite] = rewards.cents
    moments = np.stack([invites.sent, invites.opened, accepted, rewarded])
    kind, invite = np.nonzero(moments != NEVER)
    channel = pick(draw.streams("feed/invite_channels"), INVITE_CHANNEL_SHARES, len(invites))
    time = moments[kind, invite]
    return Feed(
        "viral_actions",
        {
            "event_id": Ids(f"v-{seed}-", invite * 4 + kind),
            "action_type": Words(VIRAL_ACTIONS, kind),
            "actor_id": Ids(f"u-{seed}-", invites.inviter[invite]),
            "recipient_email": Addresses(
                invites.person[invite], invites.spelling[invite], rng.random(len(invite)) < 0.01
            ),
            "invite_id": Ids(f"i-{seed}-", np.where(has_invite_id(draw)[invite], invite, NOBODY)),
            "reward_cents": Integers(np.where(kind == 3, cents[invite], 0), kind != 3),
            "occurred_at": Times(time),
            "channel": Words((*INVITE_CHANNELS, None), np.where(kind == 0, channel[invite], len(INVITE_CHANNELS))),
        },
        time,
        "occurred_at",
        ("event_id", "actor_id", "recipient_email", "occurred_at"),
        "action_type",
    )


def integration_events(draw: Draw) -> Feed:
    """Heartbeats, syncs, triggers and queue depths."""
    found = draw.integration_events
    return Feed(
        "integration_events",
        {
            "event_id": Ids(f"n-{draw.streams.seed}-", np.arange(len(found.time))),
            "integration": Words(INTEGRATIONS, found.integration),
            "event_type": Words(EVENT_TYPES, found.kind),
            "status": Words(STATUSES, found.failed.astype(np.int64)),
            "expected": Integers(found.expected, found.expected < 0),
            "actual": Integers(found.actual, found.actual < 0),
            "queue_depth": Integers(found.depth, found.depth < 0),
            "occurred_at": Times(found.time),
        },
        found.time,
        "occurred_at",
        ("event_id", "integration", "occurred_at"),
        "event_type",
    )


def attribution_truth(draw: Draw) -> Feed:
    """Survey answers and experiment labels."""
    found = draw.answers
    return Feed(
        "attribution_truth",
        {
            "conversion_id": Ids(f"c-{draw.streams.seed}-", found.conversion),
            "channel": Words([*draw.world.channel_names, "none"], found.channel),
            "method": Words(METHODS, found.method),
            "occurred_at": Times(found.time),
        },
        found.time,
        "occurred_at",
        ("conversion_id", "occurred_at"),
        "method",
    )
