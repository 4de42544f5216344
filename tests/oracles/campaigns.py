"""campaign_performance and its headline: who was reached, who opened, who converted in time."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from tests.oracles.attribution import Row
from tests.oracles.feeds import Feeds, Fingerprint, Record, field, instant, visible_events, visible_versions
from tests.oracles.policy import Policy, span
from tests.oracles.rounding import ratio

AddressKey = Callable[[str], str]
"""An e-mail address -> the key by which it is compared."""
EVENT_TYPES = ("sent", "delivered", "bounced", "opened", "clicked", "unsubscribed", "complained")


class Deliveries:
    """Campaign e-mail up to as_of, and what its recipients did afterwards.

    A recipient is an address key; the same address in two campaigns is two recipients. Conversions are found
    through the users that have that address: any type, and also those held out for want of a rate.
    """

    def __init__(
        self, feeds: Feeds, as_of: datetime, policy: Policy, fingerprint: Fingerprint, address_key: AddressKey
    ) -> None:
        self._as_of = as_of
        self._window = span(policy, "campaign_conversion_window_days")
        described = visible_versions(feeds, "campaigns", as_of, fingerprint)
        self.campaigns: dict[str, Record | None] = {record["campaign_id"]: record for record in described}
        self.recipients: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.first_delivered_at: dict[tuple[str, str], datetime] = {}
        for record in visible_events(feeds, "campaign_events", as_of):
            campaign_id, recipient = record["campaign_id"], address_key(record["recipient_email"])
            self.campaigns.setdefault(campaign_id, None)
            self.recipients[campaign_id, record["event_type"]].add(recipient)
            if record["event_type"] == "delivered":
                at = instant(record["occurred_at"])
                earlier = self.first_delivered_at.get((campaign_id, recipient), at)
                self.first_delivered_at[campaign_id, recipient] = min(at, earlier)
        self._converted_at = _conversion_times_by_address(feeds, as_of, fingerprint, address_key)
        conversions = visible_events(feeds, "conversions", as_of)
        self.seen_at = max((instant(record["occurred_at"]) for record in conversions), default=None)

    def has_matured(self, delivered_at: datetime) -> bool:
        """Whether the conversion window after a first delivery is over at as_of."""
        return delivered_at <= self._as_of - self._window

    def converted(self, recipient: str, delivered_at: datetime) -> bool:
        """Whether the recipient converted from the first delivery to the end of its window, both ends in."""
        return any(delivered_at <= at <= delivered_at + self._window for at in self._converted_at.get(recipient, ()))

    def by_campaign(self, longest_before_maturity: timedelta) -> dict[str, tuple[int, int]]:
        """campaign_id -> (converted, matured), of the same recipients as `pooled`."""
        end = self._as_of - self._window
        counts: dict[str, tuple[int, int]] = {}
        for (campaign_id, recipient), at in self.first_delivered_at.items():
            if end - longest_before_maturity < at <= end:
                converted, matured = counts.get(campaign_id, (0, 0))
                counts[campaign_id] = converted + self.converted(recipient, at), matured + 1
        return counts

    def lags(self, longest_before_maturity: timedelta) -> dict[str, list[timedelta]]:
        """campaign_id -> from delivery to first conversion, of those recipients of `pooled` who converted."""
        end = self._as_of - self._window
        found: dict[str, list[timedelta]] = defaultdict(list)
        for (campaign_id, recipient), at in self.first_delivered_at.items():
            if end - longest_before_maturity < at <= end and self.converted(recipient, at):
                found[campaign_id].append(self._first_conversion(recipient, at) - at)
        return found

    def young(self, longest: timedelta) -> dict[str, list[tuple[timedelta, bool]]]:
        """campaign_id -> (age, whether converted by now) of recipients first delivered to less than `longest` before
        the latest conversion that is known; the age is up to that."""
        found: dict[str, list[tuple[timedelta, bool]]] = defaultdict(list)
        for (campaign_id, recipient), at in self.first_delivered_at.items():
            if self.seen_at is not None and self.seen_at - longest < at <= self.seen_at:
                found[campaign_id].append((self.seen_at - at, self.converted(recipient, at)))
        return found

    def _first_conversion(self, recipient: str, delivered_at: datetime) -> datetime:
        return min(at for at in self._converted_at[recipient] if at >= delivered_at)

    def pooled(self, longest_before_maturity: timedelta) -> tuple[int, int]:
        """(converted, matured) over all campaigns and recipients of the headline.

        Those whose first delivery lies in the given span that ends where maturity begins, its beginning out.
        """
        end = self._as_of - self._window
        deliveries = [
            (recipient, at)
            for (_, recipient), at in self.first_delivered_at.items()
            if end - longest_before_maturity < at <= end
        ]
        return sum(self.converted(recipient, at) for recipient, at in deliveries), len(deliveries)


def _conversion_times_by_address(
    feeds: Feeds, as_of: datetime, fingerprint: Fingerprint, address_key: AddressKey
) -> Mapping[str, Collection[datetime]]:
    address_of_user = {
        record["user_id"]: address_key(record["email"])
        for record in visible_versions(feeds, "users", as_of, fingerprint)
        if instant(record["signed_up_at"]) <= as_of
    }
    times: dict[str, list[datetime]] = defaultdict(list)
    for record in visible_events(feeds, "conversions", as_of):
        if record["user_id"] in address_of_user:
            times[address_of_user[record["user_id"]]].append(instant(record["occurred_at"]))
    return times


def campaign_performance(deliveries: Deliveries) -> list[Row]:
    """A row per campaign that a record describes or an event names; distinct recipients, rates of pairs of facts.

    delivery_rate: sent and delivered / sent. open_rate, click_rate: over delivered. conversion_rate: over
    first deliveries whose window is over. None where there is nothing to divide by, and for the name, channel
    and status of a campaign that no record describes.
    """
    rows = []
    for campaign_id, described in deliveries.campaigns.items():
        reached = {
            event_type: deliveries.recipients.get((campaign_id, event_type), set()) for event_type in EVENT_TYPES
        }
        matured = {
            recipient: at
            for (campaign, recipient), at in deliveries.first_delivered_at.items()
            if campaign == campaign_id and deliveries.has_matured(at)
        }
        converted = sum(deliveries.converted(recipient, at) for recipient, at in matured.items())
        sent, delivered = reached["sent"], reached["delivered"]
        rows.append(
            {
                "campaign_id": campaign_id,
                "campaign_name": described["name"] if described else None,
                "channel": (field(described, "channel") or "unknown") if described else None,
                "campaign_status": described["status"] if described else None,
            }
            | {event_type: len(recipients) for event_type, recipients in reached.items()}
            | {
                "matured_delivered": len(matured),
                "converted": converted,
                "delivery_rate": ratio(len(sent & delivered), len(sent)),
                "open_rate": ratio(len(reached["opened"] & delivered), len(delivered)),
                "click_rate": ratio(len(reached["clicked"] & delivered), len(delivered)),
                "conversion_rate": ratio(converted, len(matured)),
            }
        )
    return rows
