"""Campaigns and the e-mails they send: who is written to, what arrives, what is opened and clicked."""

from dataclasses import dataclass, replace

import numpy as np

from orchestration.simulate.calendar import Span
from orchestration.simulate.columns import NEVER
from orchestration.simulate.journeys import HOUR, NOBODY, days
from orchestration.simulate.rows import Rows
from orchestration.simulate.world import DAY, EMAIL, World

WELCOME, NURTURE, RENEWAL, NEWSLETTER, LEAD, PROMPT = range(6)
MAIL_KINDS = ("welcome", "trial-nurture", "renewal-reminder", "newsletter", "lead-nurture", "invite-prompt")
MINUTE = 60_000


@dataclass(frozen=True)
class Catalogue:
    """Every campaign of the span, numbered: mail campaigns by kind and month, then paid ones by channel,
    slot and month. channel: code of each; month: index of each (0 = the month in which the span starts)."""

    ids: list[str]
    channel: np.ndarray
    month: np.ndarray
    first_month: int
    months: int
    paid_base: dict[int, int]

    @classmethod
    def of(cls, world: World, span: Span) -> "Catalogue":
        first, last = _month(span.start), _month(span.until)
        months = int(last - first) + 1
        labels = [str(np.datetime64(int(first) + number, "M")) for number in range(months)]
        ids = [f"{kind}-{label}" for kind in MAIL_KINDS for label in labels]
        channel = [world.code(EMAIL)] * len(ids)
        paid_base = {}
        for code, one in enumerate(world.channels):
            paid_base[code] = len(ids)
            ids += [f"{one.name}-{slot + 1}-{label}" for slot in range(one.campaigns) for label in labels]
            channel += [code] * (len(ids) - len(channel))
        month = np.arange(len(ids)) % months
        return cls(ids, np.array(channel), month, int(first), int(months), paid_base)

    def mail(self, kind: int, time: np.ndarray) -> np.ndarray:
        """Number of the campaign of a kind that runs at each time."""
        return kind * self.months + self._index(time)

    def paid(self, world: World, rng: np.random.Generator, channel: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Number of a campaign of each channel at each time; NOBODY for channels without, and a few with."""
        slots = np.array([one.campaigns for one in world.channels])[channel]
        slot = (rng.random(len(channel)) * slots).astype(np.int64)
        number = np.array(list(self.paid_base.values()))[channel] + slot * self.months + self._index(time)
        tagged = (slots > 0) & (rng.random(len(channel)) >= 0.04)
        return np.where(tagged, number, NOBODY)

    def _index(self, time: np.ndarray) -> np.ndarray:
        return np.clip(_month(time) - self.first_month, 0, self.months - 1)


def _month(time: np.ndarray | int) -> np.ndarray:
    """Months since the epoch."""
    return np.asarray(time).astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)


@dataclass(frozen=True)
class Mails(Rows):
    """Parallel arrays, one entry per mail: reader (caller's index of the person), campaign number, and when
    it was sent, delivered, bounced, opened, clicked, left (unsubscribed) (NEVER where not)."""

    reader: np.ndarray
    campaign: np.ndarray
    sent: np.ndarray
    delivered: np.ndarray
    bounced: np.ndarray
    opened: np.ndarray
    clicked: np.ndarray
    left: np.ndarray


@dataclass(frozen=True)
class Readers:
    """What each reader's mailbox does: leaves_at: when they unsubscribe; dead: their address bounces."""

    leaves_at: np.ndarray
    dead: np.ndarray

    @classmethod
    def draw(cls, world: World, rng: np.random.Generator, since: np.ndarray) -> "Readers":
        leaves_at = since + (rng.exponential(world.unsubscribe_days, len(since)) * DAY).astype(np.int64)
        return cls(leaves_at, rng.random(len(since)) < world.dead_address_share)


def send(
    world: World,
    rng: np.random.Generator,
    readers: Readers,
    reader: np.ndarray,
    campaign: np.ndarray,
    sent: np.ndarray,
    until: int,
    *,
    clicked: np.ndarray | None = None,
) -> Mails:
    """Send to readers who have not unsubscribed, and draw what becomes of each mail.

    clicked: when given, the clicks were drawn elsewhere (NEVER: none) and are taken as they are.
    """
    count = len(reader)
    fate = rng.random(count)
    arrives = (fate < world.delivered) & ~readers.dead[reader]
    bounces = readers.dead[reader] | (fate >= (1 + world.delivered) / 2)
    delivered = sent + 1_000 + (rng.exponential(20_000, count)).astype(np.int64)
    looked = delivered + MINUTE + (rng.exponential(9 * HOUR, count)).astype(np.int64)
    follows = looked + 5_000 + (rng.exponential(4 * MINUTE, count)).astype(np.int64)
    opens, clicks, shows = (rng.random(count) for _ in range(3))
    if clicked is None:
        read = opens < world.opened
        clicked = np.where(arrives & read & (clicks < world.clicked), follows, NEVER)
    else:
        arrives |= clicked != NEVER
        bounces &= ~arrives
        delivered = np.where(clicked != NEVER, np.minimum(delivered, clicked - MINUTE // 2), delivered)
        read = (opens < world.opened) | (clicked != NEVER)
        looked = np.where(clicked != NEVER, clicked - 5_000, looked)
    # Some readers block images: they click without a recorded opening.
    opened = np.where(arrives & read & ((clicked == NEVER) | (shows < 0.9)), looked, NEVER)

    kept = np.flatnonzero((sent <= until) & (sent < readers.leaves_at[reader]))
    mails = Mails(
        reader,
        campaign,
        sent,
        np.where(arrives, delivered, NEVER),
        np.where(bounces & ~arrives, delivered, NEVER),
        opened,
        clicked,
        np.full(count, NEVER),
    ).take(kept)
    return _until(mails, until)


def _until(mails: Mails, until: int) -> Mails:
    """Forget what happens after the end."""
    later = ("delivered", "bounced", "opened", "clicked", "left")
    cut = {name: np.where(getattr(mails, name) <= until, getattr(mails, name), NEVER) for name in later}
    return replace(mails, **cut)


def with_leavers(mails: Mails, readers: Readers, until: int) -> Mails:
    """Note each reader's unsubscription on the last mail delivered before it."""
    order = np.lexsort((mails.sent, mails.reader))
    arrived = order[mails.delivered[order] != NEVER]
    last = np.ones(len(arrived), dtype=bool)
    last[:-1] = mails.reader[arrived[1:]] != mails.reader[arrived[:-1]]
    place = arrived[last]
    leaves_at = np.maximum(readers.leaves_at[mails.reader[place]], mails.delivered[place] + MINUTE)
    place, leaves_at = place[leaves_at <= until], leaves_at[leaves_at <= until]
    left = mails.left.copy()
    left[place] = leaves_at
    return replace(mails, left=left)


def newsletter_times(world: World, span: Span) -> np.ndarray:
    """Send times of the newsletter: 09:00 UTC every newsletter_days, counted back from the end."""
    step = days(world.newsletter_days)
    last = (span.until - days(1)) // DAY * DAY + 9 * HOUR
    return np.arange(last, span.start, -step)[::-1]
