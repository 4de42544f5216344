"""Valid feed records in one line each: a test names what it is about, the rest has a quiet default."""

from datetime import datetime
from typing import Any


def touchpoint(event_id: str, at: datetime, *, user_id: str | None = "ann", **fields: Any) -> dict[str, Any]:
    return {"event_id": event_id, "user_id": user_id, "occurred_at": at.isoformat(), "channel": "email"} | fields


def claim(event_id: str, at: datetime, user_id: str, *, anonymous_id: str = "phone") -> dict[str, Any]:
    """An `identities` record: from `at` on the anonymous_id is the user's."""
    return {"event_id": event_id, "anonymous_id": anonymous_id, "user_id": user_id, "occurred_at": at.isoformat()}


def conversion(conversion_id: str, at: datetime, *, user_id: str = "ann", **fields: Any) -> dict[str, Any]:
    """A sign-up worth 100 cents unless said otherwise."""
    known = {"conversion_id": conversion_id, "user_id": user_id, "occurred_at": at.isoformat()}
    return known | {"conversion_type": "signup", "revenue_cents": 100} | fields


def refund(refund_id: str, at: datetime, cents: int, *, conversion_id: str) -> dict[str, Any]:
    known = {"refund_id": refund_id, "conversion_id": conversion_id}
    return known | {"occurred_at": at.isoformat(), "refund_cents": cents}


def rate(rate_on: str, value: Any, *, currency: str = "EUR", **fields: Any) -> dict[str, Any]:
    return {"rate_on": rate_on, "currency": currency, "rate": value} | fields


def spend(on: str, channel: str, cents: int, **fields: Any) -> dict[str, Any]:
    return {"spend_on": on, "channel": channel, "cost_cents": cents, "currency": "USD"} | fields


def user(name: str, joined: datetime, **fields: Any) -> dict[str, Any]:
    """A user with the address <name>@mail.example."""
    return {"user_id": name, "email": f"{name}@mail.example", "signed_up_at": joined.isoformat()} | fields


def mail(kind: str, name: str, at: datetime, *, campaign: str = "spring", **fields: Any) -> dict[str, Any]:
    """A campaign event for the address <name>@mail.example."""
    event_id = f"{kind} {name} {at.isoformat()} {campaign}"
    known = {"event_id": event_id, "event_type": kind, "campaign_id": campaign}
    return known | {"recipient_email": f"{name}@mail.example", "occurred_at": at.isoformat()} | fields


def invite(event_id: str, actor: str, recipient: str, at: datetime, **fields: Any) -> dict[str, Any]:
    """An invite_sent to the address <recipient>@mail.example."""
    known = {"event_id": event_id, "action_type": "invite_sent", "actor_id": actor}
    return known | {"recipient_email": f"{recipient}@mail.example", "occurred_at": at.isoformat()} | fields


def opened(event_id: str, actor: str, recipient: str, at: datetime, **fields: Any) -> dict[str, Any]:
    """An invite_opened; it names no invite unless told so."""
    return invite(event_id, actor, recipient, at, action_type="invite_opened", **fields)
