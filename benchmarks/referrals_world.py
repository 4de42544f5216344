"""A world for measuring models: users who invite users, written into raw by SQL in seconds, as if ingest had.

N users joined over a year, ever more of them: one in eight in the last 28 days. Half were brought by one who joined 1
to 29 days before them, a few of whom bring many. Of 4 actions for each user 2.3 are invites; half of these are opened;
each join earns a reward. A third of the invited name their invite, the others are known by their address. Some invites
are sent twice, to oneself, to a user, or to someone who joins by another's.
"""

from typing import Any

import psycopg

from orchestration.warehouse import Warehouse

DAYS = 365
GROWTH = 0.0035
"""A day, of the number who join."""
BLOCK = 50
"""Users who joined one after another, the first few of whom do most of the inviting."""
INVITES_BESIDE = 1.8
"""For each user, invites other than those that brought one."""
CONVERSIONS = 0.2
TABLES = ("users", "viral_actions", "conversions")

LOAD = """
insert into raw.loads (feed, source, checksum, records_read, inserted, earliest_at, latest_at, started_at)
values (%(feed)s, 'benchmark', %(name)s, %(rows)s, %(rows)s, now() - interval '365 days', now(), now())
returning load_id
"""
COUNT = "update raw.loads set records_read = %(rows)s, inserted = %(rows)s where load_id = %(load)s"
# Who of the first N had joined at an age in days, and the reverse.
FUNCTIONS = f"""
create schema benchmark;
create function benchmark.age(share double precision) returns double precision language sql immutable
return -ln(share * (1 - exp(-{GROWTH * DAYS})) + exp(-{GROWTH * DAYS})) / {GROWTH};
create function benchmark.block(age double precision, users integer) returns integer language sql immutable
return
    (users * (exp(-{GROWTH} * least(age, {DAYS})) - exp(-{GROWTH * DAYS})) / (1 - exp(-{GROWTH * DAYS})))::integer
    / {BLOCK} * {BLOCK};
"""
JOINERS = """
create temp table drawn on commit drop as
select
    number,
    %(end)s::timestamptz - age * interval '1 day' as joined_at,
    case when random() < 0.52 then benchmark.block(age + 1 + 28 * random() ^ 2, %(users)s) + {one_of_block} end
        as parent,
    random() as drawn
from (
    select
        number,
        case
            when %(days)s::float is null then benchmark.age((number - random()) / %(users)s)
            else %(days)s * random()
        end as age
    from generate_series(%(first)s::integer, %(last)s) as numbers (number)
) as aged;

create temp table joiners on commit drop as
select
    drawn.*,
    parents.number as parent_number,
    parents.joined_at as parent_joined_at,
    md5(%(name)s || 'brought' || drawn.number) as invite_id
from drawn
left join (
    select number, joined_at from drawn
    union all
    select substr(user_id, 3)::integer, signed_up_at from raw.users where user_id ~ '^u-[0-9]+$'
) as parents
    on drawn.parent = parents.number and parents.joined_at < drawn.joined_at - interval '1 hour'
""".format(one_of_block=f"({BLOCK} * random() ^ 3)::integer")
USERS = """
insert into raw.users (
    user_id, email_key, mailbox_key, key_version, email_is_disposable, signed_up_at, user_type, invite_id, updated_at,
    record_sha256, load_id
)
select
    'u-' || number,
    md5('mail' || number),
    -- One in 500 has a second address at a mailbox that somebody else uses.
    md5('mail' || case when drawn < 0.002 then (number * 7919::bigint) %% %(users)s else number end),
    1,
    (drawn * 1e6)::integer %% 100 = 0,
    joined_at,
    (array['free', 'trial', 'paid'])[1 + (drawn * 1e5)::integer %% 3],
    case when parent_number is not null and (drawn * 1e4)::integer %% 3 = 0 then invite_id end,
    joined_at,
    sha256(('user' || number)::bytea),
    %(load)s
from joiners
"""
SENDS = f"""
create temp table sends on commit drop as
select
    invite_id as key, 'u-' || parent_number as actor, md5('mail' || number) as recipient,
    md5('mail' || number) as mailbox, parent_joined_at + random() * (joined_at - parent_joined_at) as sent_at
from joiners
where parent_number is not null;

insert into sends
select
    md5(%(name)s || 'beside' || number),
    'u-' || sender,
    case
        when kind < 0.01 then md5('mail+' || sender)
        when kind < 0.03 then md5('mail' || benchmark.block(age + 5, %(users)s))
        when kind < 0.06 then md5('mail' || benchmark.block(greatest(age - 5, 0), %(users)s))
        else md5(%(name)s || 'stranger' || number)
    end,
    case
        when kind < 0.01 then md5('mail' || sender)
        when kind < 0.03 then md5('mail' || benchmark.block(age + 5, %(users)s))
        when kind < 0.06 then md5('mail' || benchmark.block(greatest(age - 5, 0), %(users)s))
        else md5(%(name)s || 'stranger' || number)
    end,
    %(end)s::timestamptz - age * interval '1 day'
from (
    select
        number, age, random() as kind,
        benchmark.block(age + 0.1 + 20 * random() ^ 2, %(users)s) + ({BLOCK} * random() ^ 2)::integer as sender
    from (
        select
            number,
            case when %(days)s::float is null then benchmark.age(random()) else %(days)s * random() end as age
        from generate_series(1, %(beside)s) as numbers (number)
    ) as aged
) as others;

insert into sends
select md5(key || 'again'), actor, recipient, mailbox, sent_at + 10 * random() * interval '1 day'
from sends
where random() < 0.02;

delete from sends where sent_at > %(end)s
"""
ACTIONS = """
insert into raw.viral_actions (
    event_id, action_type, actor_id, recipient_key, recipient_mailbox_key, recipient_is_disposable, key_version,
    invite_id, reward_cents, occurred_at, properties, load_id
)
select
    md5('event' || key), 'invite_sent', actor, recipient, mailbox, key < '028', 1, key, null::bigint, sent_at,
    jsonb_build_object('channel', (array['email', 'link', 'sms', 'share'])[1 + ascii(right(key, 1)) %% 4]),
    %(load)s::bigint
from sends
union all
-- One opening in five does not say of which invite.
select
    md5('opened' || key), 'invite_opened', actor, recipient, mailbox, key < '028', 1,
    case when key < 'd' then key end, null, sent_at + random() * interval '1 hour', null, %(load)s
from sends
where right(key, 1) < '8' and sent_at < %(end)s::timestamptz - interval '1 hour'
union all
select
    md5('reward' || invite_id), 'reward_granted', 'u-' || parent_number, md5('mail' || number),
    md5('mail' || number), false, 1, invite_id, 2500, joined_at, null, %(load)s
from joiners
where parent_number is not null
"""
CONVERTED = """
insert into raw.conversions (conversion_id, user_id, occurred_at, conversion_type, revenue_cents, currency, load_id)
select
    md5(%(name)s || 'conversion' || number), 'u-' || number, least(joined_at + drawn * interval '9 days', %(end)s),
    'subscription', (drawn * 30000)::integer, 'USD', %(load)s
from joiners
where (drawn * 1e3)::integer %% 100 < %(share)s * 100
"""
# What comes while somebody looks: half of those who join do so by an invite that is still pending.
ARRIVING_USERS = """
insert into raw.users (
    user_id, email_key, mailbox_key, key_version, signed_up_at, user_type, invite_id, updated_at, record_sha256, load_id
)
select
    'u-' || %(name)s || number,
    coalesce(recipient_key, md5('mail' || %(name)s || number)),
    coalesce(recipient_key, md5('mail' || %(name)s || number)),
    1, now(), 'free', case when number %% 3 = 0 then invite_id end, now(),
    sha256((%(name)s || number)::bytea), %(load)s
from generate_series(1, %(users)s) as numbers (number)
left join unnest(%(invites)s::text[], %(recipients)s::text[]) with ordinality
    as pending (invite_id, recipient_key, place)
    on place * 2 = number
"""
# Sends, openings and rewards as 23 : 12 : 5.
ARRIVING_ACTIONS = f"""
insert into raw.viral_actions (
    event_id, action_type, actor_id, recipient_key, recipient_mailbox_key, key_version, invite_id, reward_cents,
    occurred_at, load_id
)
select
    md5(%(name)s || 'event' || number),
    case
        when kind < 23 then 'invite_sent' when kind < 35 then 'invite_opened' else 'reward_granted'
    end,
    'u-' || sender, md5(%(name)s || 'to' || number), md5(%(name)s || 'to' || number), 1,
    md5(%(name)s || 'invite' || number), case when kind >= 35 then 2500 end, now(), %(load)s
from (
    select
        number,
        random() * 40 as kind,
        benchmark.block(0.1 + 20 * random(), %(all_users)s) + ({BLOCK} * random() ^ 2)::integer as sender
    from generate_series(1, %(actions)s) as numbers (number)
) as drawn
"""
PENDING = """
select invite_id, recipient_key from marts.fct_invites where outcome = 'pending' order by md5(invite_id) limit %s
"""


class World:
    """Referrals in a fresh warehouse. users: N of the first load; what is delivered later is brought by them."""

    def __init__(self, warehouse: Warehouse, users: int) -> None:
        self._warehouse = warehouse
        self._users = users
        self._last = 0
        with warehouse.connect() as connection:
            self._end = connection.execute("select now()").fetchone()[0]
            connection.execute(FUNCTIONS)
            self._deliver(connection, "history", users, None)
        # The state in which a warehouse is that has had its autovacuum.
        with warehouse.connect(autocommit=True) as connection:
            connection.execute(f"vacuum (analyze) {', '.join(f'raw.{table}' for table in TABLES)}")

    def deliver(self, name: str, users: int, *, days: int) -> int:
        """New loads of so many users of the latest days, with their actions; returns how many actions these are."""
        with self._warehouse.connect() as connection:
            return self._deliver(connection, name, users, days)

    def _deliver(self, connection: psycopg.Connection, name: str, users: int, days: int | None) -> int:
        connection.execute("select setseed(hashtext(%s) / 2147483648.0)", [name])
        first, self._last = self._last + 1, self._last + users
        given = {
            "name": name,
            "users": self._users,
            "first": first,
            "last": self._last,
            "days": days,
            "end": self._end,
            "beside": round(users * INVITES_BESIDE),
            "share": CONVERSIONS,
        }
        for statements in (JOINERS, SENDS):
            for statement in statements.split(";"):
                connection.execute(statement, given)
        for feed, statement in (("users", USERS), ("viral_actions", ACTIONS), ("conversions", CONVERTED)):
            rows = load(connection, feed, statement, given)
            if feed == "viral_actions":
                actions = rows
        return actions


class Arrivals:
    """Small loads, one after the other, of users and actions of this moment. users: N of the world; name: of these
    arrivals, among others in the same world; pending: invites that are known for it at the most."""

    def __init__(self, connection: psycopg.Connection, users: int, name: str, pending: int = 20_000) -> None:
        self._connection = connection
        self._users = users
        self._name = name
        self._pending: list[tuple[str, str]] = connection.execute(PENDING, [pending]).fetchall()
        self._count = 0

    def load(self, events: int) -> int:
        """Load and commit so many events, a fifth of them users; returns how many users these are."""
        self._count += 1
        users = events // 5 + (self._count % 5 < events % 5)
        taken = [self._pending.pop() for _ in range(users // 2) if self._pending]
        given = {
            "name": f"{self._name}-{self._count}-",
            "users": users,
            "actions": events - users,
            "all_users": self._users,
            "invites": [invite for invite, _recipient in taken],
            "recipients": [recipient for _invite, recipient in taken],
        }
        with self._connection.transaction():
            for feed, count, statement in (
                ("users", users, ARRIVING_USERS),
                ("viral_actions", events - users, ARRIVING_ACTIONS),
            ):
                if count:
                    load(self._connection, feed, statement, given)
        return users


def load(connection: psycopg.Connection, feed: str, statement: str, given: dict[str, Any]) -> int:
    """Insert the rows of a statement as a load of the feed; returns their number."""
    load_id = connection.execute(LOAD, given | {"feed": feed, "rows": 0}).fetchone()[0]
    rows = connection.execute(statement, given | {"load": load_id}).rowcount
    connection.execute(
        "update raw.loads set records_read = %s, inserted = %s where load_id = %s", [rows, rows, load_id]
    )
    return rows
