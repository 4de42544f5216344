"""What rules stand at, their incidents and silences, and the outbox: stored together, claimed one by one.

Whoever stores holds `only_one_stores`: a rule is judged and its messages are written in one transaction, once. Whoever
sends claims a message for a while; when its process dies, the message is due again, under the same dedup key.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from .locks import ALERTS, lock_in_transaction
from .reads import rows

# The action that another stage does: attribution, which sees that it is asked for.
TRIGGER_RECALIBRATION = "trigger_recalibration"


@dataclass(frozen=True)
class NewMessage:
    """A message for one channel, to be stored. is_over: it says that the incident is over."""

    incident_id: int
    reason: str
    channel: str
    dedup_key: str
    severity: str
    is_over: bool
    title: str
    body: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class ClaimedMessage(NewMessage):
    """A stored message that is ours to send until its lease ends. attempts: this one included."""

    message_id: int
    rule: str
    attempts: int
    created_at: datetime


def installation(connection: psycopg.Connection) -> str:
    """What this warehouse is known by to those who hear from several."""
    return str(connection.execute("select installation_id from ops.installation").fetchone()[0])


def only_one_stores(connection: psycopg.Connection) -> None:
    """Wait for others who store, and keep them out until this transaction ends."""
    lock_in_transaction(connection, ALERTS)


def standing(connection: psycopg.Connection, rule: str) -> dict[str, Any]:
    """is_firing, fired_at, settled_at, data, data_since, decided_at of a rule; nothing for one never stored."""
    found = rows(
        connection,
        "select is_firing, fired_at, settled_at, data, data_since, decided_at from ops.alert_states where rule = %s",
        [rule],
    )
    return found[0] if found else {}


def save_standing(connection: psycopg.Connection, rule: str, standing: dict[str, Any]) -> None:
    """Store what a rule stands at."""
    connection.execute(
        """
        insert into ops.alert_states (rule, is_firing, fired_at, settled_at, data, data_since, decided_at)
        values (
            %(rule)s, %(is_firing)s, %(fired_at)s, %(settled_at)s, %(data)s, %(data_since)s, %(decided_at)s
        )
        on conflict (rule) do update set
            is_firing = excluded.is_firing,
            fired_at = excluded.fired_at,
            settled_at = excluded.settled_at,
            data = excluded.data,
            data_since = excluded.data_since,
            decided_at = excluded.decided_at,
            updated_at = clock_timestamp()
        """,
        standing | {"rule": rule},
    )


def open_incident(connection: psycopg.Connection, rule: str, kind: str, severity: str, at: datetime) -> list[int]:
    """Begin an incident, where none of that rule and kind is open; its number, if one began."""
    begun = connection.execute(
        """
        insert into ops.alert_incidents (rule, kind, severity, opened_at) values (%s, %s, %s, %s)
        on conflict (rule, kind) where closed_at is null do nothing
        returning incident_id
        """,
        [rule, kind, severity, at],
    )
    return [incident_id for (incident_id,) in begun]


def close_incident(connection: psycopg.Connection, rule: str, kind: str, at: datetime) -> None:
    """End the open incident of a rule and kind, if there is one."""
    connection.execute(
        "update ops.alert_incidents set closed_at = %s where rule = %s and kind = %s and closed_at is null",
        [at, rule, kind],
    )


def unsettled_incidents(connection: psycopg.Connection, begun: Sequence[int] = ()) -> list[dict[str, Any]]:
    """Open incidents, and closed ones of whose end those who were told of them do not know yet.

    begun: those that began just now; they count although they may be over, and nobody was told of them.
    """
    return rows(
        connection,
        """
        select
            incident_id, rule, kind, severity, opened_at, closed_at, told_at, first_told_at, acknowledged_at,
            escalated_at
        from ops.alert_incidents
        where
            closed_at is null
            or (told_at is not null and end_told_at is null)
            or (told_at is null and incident_id = any(%s))
        order by incident_id
        """,
        [list(begun)],
    )


def silences(connection: psycopg.Connection, now: datetime) -> list[dict[str, Any]]:
    """silence_id, rule, starts_at, ends_at, author, reason of the silences that hold."""
    return rows(
        connection,
        """
        select silence_id, rule, starts_at, ends_at, author, reason
        from ops.alert_silences
        where starts_at <= %(now)s and ends_at > %(now)s
        order by silence_id
        """,
        {"now": now},
    )


def write_messages(connection: psycopg.Connection, messages: Sequence[NewMessage], now: datetime) -> None:
    """Store messages (one at least) of one incident and reason, and that people are told: so they are told once."""
    for message in messages:
        forward(connection, message, now)
    connection.execute(
        """
        update ops.alert_incidents set
            told_at = %(now)s,
            first_told_at = coalesce(first_told_at, %(now)s),
            end_told_at = case when %(is_over)s then %(now)s end,
            escalated_at = case when %(reason)s = 'escalation' then %(now)s else escalated_at end
        where incident_id = %(incident_id)s
        """,
        messages[0].__dict__ | {"now": now},
    )


def forward(connection: psycopg.Connection, message: NewMessage, now: datetime) -> None:
    """Store one more message, due at once, of an incident of which people are told already."""
    connection.execute(
        """
        insert into ops.alert_outbox
            (incident_id, reason, channel, dedup_key, severity, is_over, title, body, fields, due_at)
        values (
            %(incident_id)s, %(reason)s, %(channel)s, %(dedup_key)s, %(severity)s, %(is_over)s, %(title)s, %(body)s,
            %(fields)s, least(%(now)s, clock_timestamp())
        )
        """,
        message.__dict__ | {"fields": Jsonb(message.fields), "now": now},
    )


def claim(
    connection: psycopg.Connection,
    lease: timedelta,
    *,
    channel: str | None = None,
    but: Collection[str] = (),
    most: int = 1,
) -> list[ClaimedMessage]:
    """The next messages that are due and nobody's, `most` of them at most; ours for the lease. Commit before sending.

    channel: of that one alone; but: of none of these. What was tried least comes first, so that one which fails again
    and again keeps no other back. Messages of one incident go to a channel in order: none overtakes one that waits.
    """
    with connection.cursor(row_factory=class_row(ClaimedMessage)) as cursor:
        claimed = cursor.execute(
            """
            update ops.alert_outbox as outbox
            set claimed_until = clock_timestamp() + %(lease)s, attempts = outbox.attempts + 1
            from ops.alert_incidents as incidents
            where
                -- An array: a subquery that locks must run once, whatever the planner thinks of.
                outbox.message_id = any(array(
                    select waiting.message_id
                    from ops.alert_outbox as waiting
                    where
                        waiting.status = 'waiting'
                        and waiting.due_at <= clock_timestamp()
                        and (%(channel)s::text is null or waiting.channel = %(channel)s)
                        and waiting.channel <> all(%(but)s)
                        and coalesce(waiting.claimed_until, '-infinity') <= clock_timestamp()
                        and not exists (
                            select from ops.alert_outbox as earlier
                            where
                                earlier.incident_id = waiting.incident_id
                                and earlier.channel = waiting.channel
                                and earlier.message_id < waiting.message_id
                                and earlier.status = 'waiting'
                        )
                    order by waiting.attempts, waiting.due_at, waiting.message_id
                    limit %(most)s
                    for update skip locked
                ))
                and incidents.incident_id = outbox.incident_id
            returning
                outbox.message_id, outbox.incident_id, incidents.rule, outbox.reason, outbox.channel,
                outbox.dedup_key, outbox.severity, outbox.is_over, outbox.title, outbox.body, outbox.fields,
                outbox.attempts, outbox.created_at
            """,
            {"lease": lease, "channel": channel, "but": sorted(but), "most": most},
        ).fetchall()
    return sorted(claimed, key=lambda message: message.message_id)


def hold(connection: psycopg.Connection, claimed: Sequence[ClaimedMessage], lease: timedelta) -> frozenset[int]:
    """Make the lease of claimed messages anew, from now on (none: give them back); numbers of those still ours."""
    held = connection.execute(
        """
        update ops.alert_outbox as outbox
        set claimed_until = statement_timestamp() + %(lease)s
        from unnest(%(messages)s::bigint[], %(attempts)s::integer[]) as ours (message_id, attempts)
        where
            outbox.message_id = ours.message_id
            and outbox.attempts = ours.attempts
            and outbox.status = 'waiting'
        returning outbox.message_id
        """,
        {
            "lease": lease,
            "messages": [message.message_id for message in claimed],
            "attempts": [message.attempts for message in claimed],
        },
    )
    return frozenset(message_id for (message_id,) in held)


def failures_in_a_row(connection: psycopg.Connection, channel: str, *, come_together: bool) -> int:
    """How often a channel has failed by now, as what waits for it was tried; come_together: one try was of many."""
    return connection.execute(
        """
        select coalesce(case when %(come_together)s then max(attempts) else sum(attempts) end, 0)
        from ops.alert_outbox
        where status = 'waiting' and channel = %(channel)s
        """,
        {"channel": channel, "come_together": come_together},
    ).fetchone()[0]


def put_off(connection: psycopg.Connection, channel: str, wait: timedelta) -> None:
    """Let all that waits for a channel wait so long at least: it is tried once then, not once for each message."""
    connection.execute(
        """
        update ops.alert_outbox
        set due_at = greatest(due_at, statement_timestamp() + %(wait)s)
        where status = 'waiting' and channel = %(channel)s
        """,
        {"channel": channel, "wait": wait},
    )


def outdated(connection: psycopg.Connection, channel: str, after: timedelta) -> list[ClaimedMessage]:
    """What has waited so long for a channel, and is nobody's: due or not, since it is not to be sent any more."""
    with connection.cursor(row_factory=class_row(ClaimedMessage)) as cursor:
        return cursor.execute(
            """
            select
                outbox.message_id, outbox.incident_id, incidents.rule, outbox.reason, outbox.channel,
                outbox.dedup_key, outbox.severity, outbox.is_over, outbox.title, outbox.body, outbox.fields,
                outbox.attempts, outbox.created_at
            from ops.alert_outbox as outbox
            inner join ops.alert_incidents as incidents on outbox.incident_id = incidents.incident_id
            where
                outbox.status = 'waiting'
                and outbox.channel = %(channel)s
                and outbox.created_at <= clock_timestamp() - %(after)s
                and coalesce(outbox.claimed_until, '-infinity') <= clock_timestamp()
            order by outbox.message_id
            """,
            {"channel": channel, "after": after},
        ).fetchall()


def channels_told(connection: psycopg.Connection, incident_id: int) -> list[str]:
    """The channels on which an incident was told, escalations among them."""
    found = rows(
        connection,
        "select distinct channel from ops.alert_outbox where incident_id = %s and reason <> 'undelivered' order by 1",
        [incident_id],
    )
    return [row["channel"] for row in found]


def record_sent(connection: psycopg.Connection, message_id: int) -> None:
    """A receiver took it."""
    connection.execute(
        """
        update ops.alert_outbox
        set status = 'sent', sent_at = clock_timestamp(), claimed_until = null, last_error = null
        where message_id = %s and status <> 'sent'
        """,
        [message_id],
    )


def record_failed(connection: psycopg.Connection, message: ClaimedMessage, error: str, wait: timedelta | None) -> bool:
    """It was not taken. wait: until it is due again; None: never, it is dead. False, and nothing, where somebody else
    has claimed or sent it since."""
    stored = connection.execute(
        """
        update ops.alert_outbox
        set
            status = case when %(wait)s::interval is null then 'dead' else 'waiting' end,
            due_at = clock_timestamp() + coalesce(%(wait)s::interval, interval '0'),
            claimed_until = null,
            last_error = %(error)s
        where message_id = %(message_id)s and status = 'waiting' and attempts = %(attempts)s
        """,
        {"wait": wait, "error": error, "message_id": message.message_id, "attempts": message.attempts},
    )
    return stored.rowcount == 1


def next_due(connection: psycopg.Connection) -> datetime | None:
    """When the next message can be claimed: due, nobody's, and none before it waiting; None without one."""
    return connection.execute(
        """
        select min(greatest(waiting.due_at, waiting.claimed_until))
        from ops.alert_outbox as waiting
        where
            waiting.status = 'waiting'
            and not exists (
                select from ops.alert_outbox as earlier
                where
                    earlier.incident_id = waiting.incident_id
                    and earlier.channel = waiting.channel
                    and earlier.message_id < waiting.message_id
                    and earlier.status = 'waiting'
            )
        """
    ).fetchone()[0]


def last_stored(connection: psycopg.Connection) -> datetime | None:
    """When what rules stand at, or a message, was last stored."""
    return connection.execute(
        """
        select greatest(
            (select max(updated_at) from ops.alert_states),
            (select created_at from ops.alert_outbox order by message_id desc limit 1)
        )
        """
    ).fetchone()[0]


def acknowledge(connection: psycopg.Connection, incident_id: int, author: str) -> bool:
    """Store that somebody takes care of an incident: it is neither repeated nor escalated. False where it is over."""
    return (
        connection.execute(
            """
            update ops.alert_incidents
            set acknowledged_at = coalesce(acknowledged_at, clock_timestamp()),
                acknowledged_by = coalesce(acknowledged_by, %s)
            where incident_id = %s and closed_at is null
            """,
            [author, incident_id],
        ).rowcount
        == 1
    )


def silence(connection: psycopg.Connection, rule: str | None, *, until: datetime, author: str, reason: str) -> int:
    """Keep a rule (None: all) quiet from now until then; returns the silence's number."""
    return connection.execute(
        "insert into ops.alert_silences (rule, ends_at, author, reason) values (%s, %s, %s, %s) returning silence_id",
        [rule, until, author, reason],
    ).fetchone()[0]


def end_silence(connection: psycopg.Connection, silence_id: int, author: str) -> bool:
    """End a silence now. False where it does not hold."""
    ended = connection.execute(
        """
        update ops.alert_silences
        set ends_at = clock_timestamp(), ended_by = %s
        where silence_id = %s and starts_at < clock_timestamp() and ends_at > clock_timestamp()
        """,
        [author, silence_id],
    )
    return ended.rowcount == 1


def ask_action(connection: psycopg.Connection, incident_id: int, action: str, at: datetime) -> bool:
    """Store that an incident asks for an action; False where it has done so before."""
    asked = connection.execute(
        "insert into ops.alert_actions (incident_id, action, asked_at) values (%s, %s, %s) on conflict do nothing",
        [incident_id, action, at],
    )
    return asked.rowcount == 1


def asked_actions(connection: psycopg.Connection, action: str) -> list[int]:
    """Incidents that ask for an action which nobody has done yet."""
    found = rows(
        connection,
        "select incident_id from ops.alert_actions where action = %s and done_at is null order by incident_id",
        [action],
    )
    return [row["incident_id"] for row in found]


def action_done(connection: psycopg.Connection, incident_id: int, action: str, outcome: str) -> None:
    """Store what came of an action that was asked for."""
    connection.execute(
        """
        update ops.alert_actions
        set done_at = clock_timestamp(), outcome = %s
        where incident_id = %s and action = %s and done_at is null
        """,
        [outcome, incident_id, action],
    )
