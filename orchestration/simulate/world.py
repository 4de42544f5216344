"""The parameters of a simulated world: what is true in it, in units, and why it is so.

Every number that shapes a draw stands here and nowhere else; the other rooms of this folder only
carry it out. The defaults describe a healthy business; docs/simulation.md says how they were found
and how to make a world of one's own with `dataclasses.replace`.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

SUPPLIER, COUPLE = 0, 1
USER_TYPES = ("supplier", "couple")
DAY = 86_400_000
"""Milliseconds in a day; every time inside the simulation is integer milliseconds since the epoch."""


@dataclass(frozen=True)
class Channel:
    """One marketing channel: what it does to people, whom it reaches, and what it costs.

    effect: probability that one touch makes the person convert, whatever else happens to them.
    before, after: share of touches it makes up before, and after, the person has signed up.
    selection: how many times likelier it is to reach a person one class of intent higher (1: blind).
    cost_cents: what one touch costs on average; billed daily, restated for a week.
    campaigns: how many paid campaigns run at a time (0: its touches and costs name none).
    """

    name: str
    effect: float
    before: float
    after: float
    selection: float = 1.0
    cost_cents: int = 0
    campaigns: int = 0
    interaction: str = "click"
    medium: str = "cpc"
    source: str = ""


DIRECT, EMAIL, REFERRAL, BRANDED = "direct", "email", "referral", "branded_search"

CHANNELS = (
    Channel("paid_search", 0.130, 0.22, 0.10, cost_cents=1_700, campaigns=3, source="search"),
    Channel("paid_social", 0.080, 0.22, 0.12, cost_cents=1_000, campaigns=3, source="social"),
    Channel("organic_search", 0.110, 0.17, 0.14, interaction="visit", medium="organic", source="search"),
    Channel("organic_social", 0.060, 0.08, 0.10, interaction="visit", medium="social", source="social"),
    Channel("affiliate", 0.140, 0.08, 0.04, cost_cents=2_300, campaigns=2, medium="affiliate", source="partners"),
    Channel("display", 0.015, 0.10, 0.08, cost_cents=250, campaigns=2, interaction="impression", medium="display"),
    Channel("retargeting", 0.010, 0.04, 0.10, 2.2, cost_cents=500, campaigns=2, medium="display", source="ads"),
    Channel(BRANDED, 0.015, 0.04, 0.10, 1.8, cost_cents=350, campaigns=1, source="search"),
    Channel(DIRECT, 0.000, 0.05, 0.12, 1.6, interaction="visit", medium="", source=""),
    Channel(EMAIL, 0.160, 0.00, 0.00, medium="email", source="newsletter"),
    Channel(REFERRAL, 0.000, 0.00, 0.00, interaction="visit", medium="referral", source="invite"),
)
"""E-mail touches come from clicks in campaigns and referral touches from invites, so their shares are 0.
The effect of a referral is the invite process itself (World.k)."""


@dataclass(frozen=True)
class EffectChange:
    """From days_before_until on, the channels named have these effects instead."""

    days_before_until: float
    effects: dict[str, float]


@dataclass(frozen=True)
class SpreadChange:
    """Invites sent from days_before_until on are accepted factor times as often."""

    days_before_until: float
    factor: float


@dataclass(frozen=True)
class Plan:
    """What a subscription costs, in US cents, and whether it renews every 30 days."""

    name: str
    price_cents: int
    share: float
    renews: bool


@dataclass(frozen=True)
class Currency:
    """share of users who pay in it; rate: US dollars for one at the start; volatility: of a day's log change."""

    code: str
    share: float
    rate: float
    volatility: float = 0.0


@dataclass(frozen=True)
class Dirt:
    """How reality spoils records on their way; shares are of a feed's good records.

    repeated: written twice in a row. resent: written again in a later file. late: arriving late_days
    later on average. conflicting: sent again with another time (events only). malformed: a broken copy
    beside the good record. skewed: stamped by a fast clock, up to skew_hours ahead (below a day).
    """

    repeated: float = 0.003
    resent: float = 0.004
    late: float = 0.02
    late_days: float = 4.0
    conflicting: float = 0.0003
    malformed: float = 0.001
    skewed: float = 0.0005
    skew_hours: float = 12.0
    address_in_utm: float = 0.0005

    @classmethod
    def none(cls) -> "Dirt":
        return cls(0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 12.0, 0.0)


PROBABILITIES = (
    "supplier_share", "returning_visit", "returning_by_search", "persuasion_at_once", "lead_share",
    "touches_logged_out", "second_device_share", "second_device_touches", "second_device_linked",
    "shared_device_share", "late_link_share",
    "discount_share", "discount", "refund_share", "refund_full_share", "delivered", "dead_address_share", "opened",
    "clicked", "complaint_share", "accepted", "opened_invite", "connector_share", "would_join_anyway", "invite_has_id",
    "join_names_invite", "duplicate_invites", "renewed_invites", "invites_to_users", "self_invites", "contested_joins",
    "fake_accounts", "disposable_fakes", "rings", "surveyed", "experimented", "survey_recall_error",
    "integration_failures",
)  # fmt: skip
"""Fields of World that must lie in [0, 1]."""


@dataclass(frozen=True)
class World:
    """All parameters of a draw. Shares and probabilities in [0, 1], spans in days, money in US cents."""

    # -- Time -----------------------------------------------------------------------------------
    # History before the days asked for: 60 days of mature cohorts and 30 for the horizon.
    history_days: int = 90
    # Growth per day of the arrival of seeds: what marketing brings grows slowly by itself.
    seed_growth: float = 0.008
    # Arrivals by weekday, Monday first: weddings are planned at the weekend.
    weekdays: tuple[float, ...] = (1.0, 0.95, 0.95, 0.95, 0.9, 1.1, 1.15)

    # -- People ---------------------------------------------------------------------------------
    supplier_share: float = 0.35
    # Classes of intent, low to high, and the share of people in each: the confounder of attribution.
    intent: tuple[float, ...] = (0.68, 0.24, 0.08)
    # 1: channels select by intent as they say; 0: no channel selects (a world without bias).
    selection_bias: float = 1.0
    # Of those who convert, the share that comes back by name just before, by search or directly: these
    # touches are the effect of a decision, never its cause. Scaled by selection_bias.
    returning_visit: float = 0.30
    returning_by_search: float = 0.4
    user_currencies: tuple[Currency, ...] = (
        Currency("USD", 0.74, 1.0),
        Currency("GBP", 0.13, 1.27, 0.004),
        Currency("EUR", 0.09, 1.09, 0.004),
        Currency("AUD", 0.04, 0.66, 0.005),
    )

    # -- Channels -------------------------------------------------------------------------------
    channels: tuple[Channel, ...] = CHANNELS
    effect_changes: tuple[EffectChange, ...] = ()
    # Mean hours from the touch that persuades to the conversion, and the share at the same instant.
    persuasion_hours: float = 14.0
    persuasion_at_once: float = 0.02

    # -- Before sign-up ---------------------------------------------------------------------------
    # Own accord: the probability to sign up without any touch, by class of intent.
    signup_own_accord: tuple[float, ...] = (0.01, 0.06, 0.25)
    prospect_touches: float = 3.2
    prospect_window_days: float = 21.0
    # Prospects who left their address, and so receive lead campaigns.
    lead_share: float = 0.15

    # -- After sign-up ----------------------------------------------------------------------------
    trial_own_accord: tuple[float, ...] = (0.41, 0.59, 0.80)
    trial_touches: float = 2.0
    trial_window_days: float = 12.0
    subscription_own_accord: tuple[float, ...] = (0.52, 0.68, 0.86)
    subscription_touches: float = 1.5
    subscription_window_days: float = 9.0
    renewal_own_accord: tuple[float, ...] = (0.72, 0.80, 0.88)
    renewal_touches: float = 0.8
    renewal_days: float = 30.0
    # Share of touches made while not logged in (known by the device alone), and on a second device.
    touches_logged_out: float = 0.3
    second_device_share: float = 0.25
    second_device_touches: float = 0.35
    second_device_linked: float = 0.7
    shared_device_share: float = 0.02
    late_link_share: float = 0.1
    late_link_days: float = 5.0

    # -- Money ------------------------------------------------------------------------------------
    supplier_plans: tuple[Plan, ...] = (
        Plan("studio_monthly", 26_900, 0.35, True),
        Plan("studio_yearly", 219_000, 0.45, False),
        Plan("team_yearly", 429_000, 0.20, False),
    )
    couple_plans: tuple[Plan, ...] = (
        Plan("planner_monthly", 4_900, 0.55, True),
        Plan("wedding_package", 49_900, 0.45, False),
    )
    discount_share: float = 0.2
    discount: float = 0.2
    refund_share: float = 0.04
    refund_full_share: float = 0.5
    refund_days: float = 9.0
    # E-mail: platform cost per send; a day's cost varies by this much (log-normal).
    email_cost_cents: float = 1.0
    cost_noise: float = 0.15

    # -- E-mail campaigns ---------------------------------------------------------------------------
    delivered: float = 0.975
    dead_address_share: float = 0.01
    opened: float = 0.46
    clicked: float = 0.20
    unsubscribe_days: float = 500.0
    complaint_share: float = 0.06
    newsletter_days: int = 28

    # -- Invites --------------------------------------------------------------------------------------
    # Expected credited joins within the horizon of the inviter's own join, per user: the K of metrics.md.
    k: float = 1.34
    horizon_days: float = 30.0
    # The programme opens this long before `until` (None: from the first day). K above 1 grows without
    # bound, so the age of the programme, not luck, decides how many people a world holds.
    programme_days: float | None = 95.0
    # Lag: join to invite and invite to join are Erlang (whole shapes) on one scale, so their sum is too,
    # and the share of joins within the horizon has a closed form.
    invite_lag_shape: int = 4
    join_lag_shape: int = 3
    lag_scale_days: float = 2.6
    accepted: float = 0.28
    opened_invite: float = 0.6
    # Suppliers invite their clients: this many times as often as couples invite.
    supplier_invites: float = 1.6
    # Heavy tail: activity is Gamma (negative binomial counts) but for connectors, whose is Pareto.
    activity_shape: float = 0.8
    connector_share: float = 0.03
    connector_mean: float = 7.0
    connector_alpha: float = 3.0
    spread_changes: tuple[SpreadChange, ...] = ()
    # Invited people who would have joined without the invite.
    would_join_anyway: float = 0.08
    invitee_touches: float = 0.9
    invite_has_id: float = 0.9
    join_names_invite: float = 0.7
    # Sends that bring nobody, as shares of real invites.
    duplicate_invites: float = 0.06
    renewed_invites: float = 0.01
    invites_to_users: float = 0.05
    self_invites: float = 0.004
    contested_joins: float = 0.02
    # As shares of users, of whom only those with a mailbox that has other spellings can: fake accounts by
    # self-invite, and rings (a friend invites one's other spelling back).
    fake_accounts: float = 0.003
    # Of the fake accounts, those at a disposable address, which shows nobody whose they are.
    disposable_fakes: float = 0.3
    rings: float = 0.005
    reward_cents: int = 2_500
    reward_multiplier: float = 2.5
    reward_threshold: int = 10

    # -- Known truth ----------------------------------------------------------------------------------
    # Conversions whose person answered a survey, and those in a randomised experiment.
    surveyed: float = 0.08
    experimented: float = 0.02
    # Answers that name the last touch rather than what persuaded them.
    survey_recall_error: float = 0.08

    # -- Integrations ------------------------------------------------------------------------------------
    heartbeat_minutes: int = 60
    integration_failures: float = 0.002

    # -- Files ---------------------------------------------------------------------------------------------
    file_days: int = 28
    dirt: Dirt = field(default_factory=Dirt)

    def __post_init__(self) -> None:
        names = [channel.name for channel in self.channels]
        for needed in (DIRECT, EMAIL, REFERRAL, BRANDED):
            if needed not in names:
                raise ValueError(f"channels: found {names}, expected {needed} among them")
        if len(set(names)) != len(names):
            raise ValueError(f"channels: found {names}, expected each name once")
        for name in PROBABILITIES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: found {getattr(self, name)}, expected a share from 0 to 1")
        if not 0 <= self.dirt.skew_hours < 24:
            raise ValueError(f"skew_hours: found {self.dirt.skew_hours}, expected less than a day")
        if not self.connector_share * self.connector_mean < 1:
            raise ValueError("connector_share x connector_mean: expected less than 1, the mean of all users")
        if self.connector_alpha <= 1:
            raise ValueError(f"connector_alpha: found {self.connector_alpha}, expected more than 1 (a finite mean)")
        if self.k < 0:
            raise ValueError(f"k: found {self.k}, expected at least 0")
        for change in self.effect_changes:
            unknown = set(change.effects) - set(names)
            if unknown:
                raise ValueError(f"effect_changes: found {sorted(unknown)}, expected channels of {names}")

    def code(self, name: str) -> int:
        """Index of a channel in `channels`."""
        return self.channel_names.index(name)

    @property
    def channel_names(self) -> list[str]:
        return [channel.name for channel in self.channels]

    @property
    def horizon_share(self) -> float:
        """Share of joins whose lag (inviter's join to invitee's) lies within the horizon: Erlang's CDF."""
        return erlang_cdf(self.horizon_days / self.lag_scale_days, self.invite_lag_shape + self.join_lag_shape)

    @property
    def invites_per_user(self) -> float:
        """Mean invites over a user's life that make K come out as `k`."""
        return self.k / (self.accepted * self.horizon_share)

    def effects(self, channel: np.ndarray, time: np.ndarray, until: int) -> np.ndarray:
        """Probability that each touch persuades; channel: codes, time and until: milliseconds."""
        table = np.array([one.effect for one in self.channels])
        found = table[channel]
        for change in sorted(self.effect_changes, key=lambda one: -one.days_before_until):
            table = table.copy()
            for name, effect in change.effects.items():
                table[self.code(name)] = effect
            since = until - round(change.days_before_until * DAY)
            found = np.where(time >= since, table[channel], found)
        return found

    def mix(self, *, after_signup: bool) -> np.ndarray:
        """Weights of channels for a touch, one row per class of intent; rows sum to 1."""
        share = np.array([one.after if after_signup else one.before for one in self.channels])
        selection = np.array([one.selection for one in self.channels]) ** self.selection_bias
        weights = share * selection ** np.arange(len(self.intent))[:, None]
        return weights / weights.sum(axis=1, keepdims=True)

    def unbiased(self) -> "World":
        """The same world where no channel selects whom it reaches and nobody returns by name."""
        return replace(self, selection_bias=0.0)


def erlang_cdf(x: float, shape: int) -> float:
    """P(sum of `shape` unit exponentials <= x)."""
    terms = (x**n / math.factorial(n) for n in range(shape))
    return 1.0 - math.exp(-x) * math.fsum(terms)
