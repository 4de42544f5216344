"""A world for measuring models: journeys of any number, written into raw by SQL in seconds, as if ingest had.

Of N touches in 90 days, spread over N/8 persons: a fifth came under an anonymous id, half of these ids are claimed by
a user; N/20 conversions, 1 % of them refunded. That makes 1.1 to 1.2 attributed rows for 10 touches, as the field has.
"""

from typing import Any

import psycopg

from orchestration.warehouse import Warehouse

DAYS = 90
TOUCHES_PER_PERSON = 8
TOUCHES_PER_CONVERSION = 20
TABLES = ("touchpoints", "identities", "conversions", "refunds", "ad_spend")

LOAD = """
insert into raw.loads (feed, source, checksum, records_read, inserted, earliest_at, latest_at, started_at)
values (%(feed)s, 'benchmark', %(name)s, %(rows)s, %(rows)s, now() - interval '90 days', now(), now())
returning load_id
"""
# Keys in no order, as the ids of events come; draws repeat, because the session's seed is set.
TOUCHPOINTS = """
insert into raw.touchpoints (event_id, user_id, anonymous_id, occurred_at, channel, campaign_id, interaction, load_id)
select
    md5(%(name)s || number)::uuid::text,
    case when named then 'u-' || person end,
    case when not named then 'a-' || person end,
    %(end)s::timestamptz - age * interval '1 second',
    channel,
    case when channel not in ('direct', 'organic_search') then channel || '-' || (drawn * 97)::integer %% 20 end,
    'visit',
    %(load)s
from (
    select
        number,
        random() < 0.8 as named,
        (random() * %(persons)s)::integer as person,
        random() * 86400 * %(days)s as age,
        random() as drawn,
        (array['direct', 'organic_search', 'email', 'paid_search', 'paid_social', 'display'])[
            1 + (random() * 6)::integer %% 6
        ] as channel
    from generate_series(1, %(rows)s) as numbers (number)
) as touches
"""
IDENTITIES = """
insert into raw.identities (event_id, anonymous_id, user_id, occurred_at, load_id)
select
    md5(%(name)s || 'identity' || number)::uuid::text, 'a-' || number, 'u-' || number,
    %(end)s::timestamptz - random() * 86400 * %(days)s * interval '1 second', %(load)s
from generate_series(0, %(persons)s, 2) as numbers (number)
"""
CONVERSIONS = """
insert into raw.conversions (conversion_id, user_id, occurred_at, conversion_type, revenue_cents, currency, load_id)
select
    md5(%(name)s || 'conversion' || number)::uuid::text, 'u-' || (random() * %(persons)s)::integer,
    %(end)s::timestamptz - random() * 86400 * %(days)s * interval '1 second',
    (array['signup', 'trial', 'subscription', 'renewal'])[1 + (random() * 4)::integer %% 4],
    (random() * 30000)::integer, 'USD', %(load)s
from generate_series(1, %(rows)s) as numbers (number)
"""
REFUNDS = """
insert into raw.refunds (refund_id, conversion_id, occurred_at, refund_cents, load_id)
select 'r-' || conversion_id, conversion_id, occurred_at, revenue_cents / 2, %(load)s
from raw.conversions
where load_id = %(conversions_load)s and random() < 0.01
"""


class World:
    """Journeys in a fresh warehouse. touches: N of the first load; what is delivered later meets the same persons."""

    def __init__(self, warehouse: Warehouse, touches: int) -> None:
        self._warehouse = warehouse
        self._persons = max(touches // TOUCHES_PER_PERSON, 1)
        with warehouse.connect() as connection:
            self._end = connection.execute("select now()").fetchone()[0]
            self._deliver(connection, "history", touches, DAYS, with_identities=True)
        # The state in which a warehouse is that has had its autovacuum.
        with warehouse.connect(autocommit=True) as connection:
            connection.execute(f"vacuum (analyze) {', '.join(f'raw.{table}' for table in TABLES)}")

    def deliver(self, name: str, touches: int, *, days: int = DAYS) -> None:
        """New loads of touches and conversions of the latest days; of all 90, they are late and reach the most."""
        with self._warehouse.connect() as connection:
            self._deliver(connection, name, touches, days, with_identities=False)

    def _deliver(
        self, connection: psycopg.Connection, name: str, touches: int, days: int, *, with_identities: bool
    ) -> None:
        connection.execute("select setseed(hashtext(%s) / 2147483648.0)", [name])
        given = {"name": name, "persons": self._persons, "days": days, "end": self._end}
        conversions = touches // TOUCHES_PER_CONVERSION
        self._load(connection, TOUCHPOINTS, given | {"feed": "touchpoints", "rows": touches})
        if with_identities:
            self._load(connection, IDENTITIES, given | {"feed": "identities", "rows": self._persons // 2 + 1})
        load_id = self._load(connection, CONVERSIONS, given | {"feed": "conversions", "rows": conversions})
        refunds = {"feed": "refunds", "rows": conversions // 100, "conversions_load": load_id}
        self._load(connection, REFUNDS, given | refunds)

    def _load(self, connection: psycopg.Connection, statement: str, given: dict[str, Any]) -> int:
        load_id = connection.execute(LOAD, given).fetchone()[0]
        connection.execute(statement, {**given, "load": load_id})
        return load_id
