"""Viral attribution: the people, their identities and touches, and what is known of the truth.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FEEDS = """
create table raw.users (
    user_id text not null,
    email_key text not null,
    mailbox_key text not null,
    key_version smallint not null,
    signed_up_at timestamptz not null,
    user_type text,
    invite_id text,
    updated_at timestamptz,
    properties jsonb,
    record_sha256 bytea not null,
    load_id bigint not null,
    primary key (user_id, record_sha256)
);
create index users_by_load on raw.users (load_id);

create table raw.identities (
    event_id text primary key,
    anonymous_id text not null,
    user_id text not null,
    occurred_at timestamptz not null,
    properties jsonb,
    load_id bigint not null
);
create index identities_by_load on raw.identities (load_id);
create index identities_by_anonymous_id on raw.identities (anonymous_id, occurred_at);

create table raw.touchpoints (
    event_id text primary key,
    user_id text,
    anonymous_id text,
    occurred_at timestamptz not null,
    channel text not null,
    campaign_id text,
    interaction text not null,
    utm_source text,
    utm_medium text,
    utm_campaign text,
    properties jsonb,
    load_id bigint not null,
    check (user_id is not null or anonymous_id is not null)
);
create index touchpoints_by_load on raw.touchpoints (load_id);

create table raw.attribution_truth (
    conversion_id text not null,
    channel text not null,
    method text not null,
    occurred_at timestamptz not null,
    properties jsonb,
    load_id bigint not null,
    primary key (conversion_id, method)
);
create index attribution_truth_by_load on raw.attribution_truth (load_id);
"""


def upgrade() -> None:
    op.execute(FEEDS)
